"""validate: data/raw -> a verdict, or one clear error

Reads  data/raw/*.parquet, data/raw/manifest.csv; of params.yaml the days that data.accepted names
Writes metrics/validate.json   per series: its kind, rows, first and last day, warnings
       reports/validation.md   every finding with its dates, and what each rule means
       reports/validation.json the same for machines: series, rule, severity, where, remedy
       plots/coverage.png      which series, from when to when
Why    a hole or a bad price found here costs a minute; found in a result it costs the result.
"""

from pathlib import Path

import pandas as pd

from finscale.cli import run
from finscale.config import Block, load_params
from finscale.data.agreement import TOGETHER, validate_together
from finscale.data.validation import RULES, Finding, validate
from finscale.errors import InputError
from finscale.sources.config import DataConfig
from finscale.storage import read_parquet, write_atomically, write_json, write_text
from stages.paths import RAW, VALIDATED

REPORT = Path("reports/validation.md")
FINDINGS = Path("reports/validation.json")
_ANEW = "these answers are stored: set data.vintage to the day of today, and the servers are asked anew"
COVERAGE = Path("plots/coverage.png")


class Params(Block):
    data: DataConfig


def stop_on_errors(findings: list[Finding], origins: dict[str, str], live: bool = False) -> None:
    """origins: {series: the file to look into}."""
    errors = [f"{origins[finding.series]}: {finding}" for finding in findings if finding.rule.severity == "error"]
    if errors:
        raise InputError("\n".join([*errors, *([_ANEW] if live else [])]))


def files(manifest: pd.DataFrame) -> dict[str, str]:
    """The user's own file of each series, or the one in data/raw where there is none."""
    own = manifest["origin"].where(manifest["source"] == "directory", f"{RAW}/" + manifest["series"] + ".parquet")
    return dict(zip(manifest["series"], own, strict=True))


def as_markdown(manifest: pd.DataFrame, findings: list[Finding]) -> str:
    lines = ["# Validation of the raw series", ""]
    lines += [
        f"- {row.series} ({row.kind}, {row.origin}): {row.rows} rows, {row.first} to {row.last}"
        + (f". {row.notes}" if row.notes else "")
        for row in manifest.itertuples()
    ]
    lines += ["", "## Findings", ""]
    lines += [f"- {finding.rule.severity}: {finding}" for finding in findings] or ["None."]
    lines += ["", "## Rules", "", "| rule | severity | series | what to do |", "|---|---|---|---|"]
    rules = (*RULES, *TOGETHER)
    lines += [f"| {rule.name} | {rule.severity} | {', '.join(rule.kinds)} | {rule.remedy} |" for rule in rules]
    return "\n".join([*lines, "", f"![coverage](../{COVERAGE})"]) + "\n"


def summary(manifest: pd.DataFrame, findings: list[Finding]) -> dict[str, dict[str, object]]:
    return {
        str(row.series): {
            "kind": row.kind,
            "rows": int(row.rows),
            "first": row.first,
            "last": row.last,
            "warnings": sum(finding.series == row.series for finding in findings),
        }
        for row in manifest.itertuples()
    }


def as_records(findings: list[Finding]) -> list[dict[str, object]]:
    return [
        {"series": finding.series, "rule": finding.rule.name, "severity": finding.rule.severity,
         "where": finding.where, "remedy": finding.rule.remedy}
        for finding in findings
    ]  # fmt: skip


def main() -> None:
    accepted = load_params(Params).data.accepted
    manifest = pd.read_csv(RAW / "manifest.csv", keep_default_na=False)
    kinds = dict(zip(manifest["series"], manifest["kind"], strict=True))
    series = {name: (kind, read_parquet(RAW / f"{name}.parquet")) for name, kind in kinds.items()}
    alone = [
        one for name, (kind, frame) in series.items() for one in validate(name, kind, frame, accepted.get(name, []))
    ]
    stop_on_errors(alone, files(manifest), (manifest["source"] == "live").any())
    together = validate_together(series)
    stop_on_errors(together, files(manifest))
    findings = alone + together
    from finscale.pages.coverage import plot_coverage  # Matplotlib: what is found wrong is said before

    write_json(VALIDATED, summary(manifest, findings))
    write_text(REPORT, as_markdown(manifest, findings))
    write_json(FINDINGS, as_records(findings))
    write_atomically(COVERAGE, lambda temporary: plot_coverage(manifest, temporary))
    for finding in together:
        print(f"validate: warning: {finding}")
    print(f"validate: {len(manifest)} series pass, {len(findings)} warnings (see {REPORT})")


if __name__ == "__main__":
    run(main)
