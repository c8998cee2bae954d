"""validate: data/raw -> a verdict, or one clear error

Reads  data/raw/*.parquet, data/raw/manifest.csv; of params.yaml the days that data.accepted names, and universe.holes
Writes metrics/validate.json   per series: its kind, rows, first and last day, warnings
       reports/validation.md   every finding with its dates, and what each rule means
       reports/validation.json the same for machines: series, rule, severity, where, remedy
Why    a hole or a bad price found here costs a minute; found in a result it costs the result.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from finscale.cli import run
from finscale.config import Block, load_params
from finscale.data.agreement import TOGETHER, validate_together
from finscale.data.config import UniverseConfig
from finscale.data.validation import RULES, Finding, validate
from finscale.errors import InputError
from finscale.pages.many import READABLE, series_lines, some
from finscale.pages.render import render
from finscale.sources.config import DataConfig
from finscale.storage import read_csv, read_parquet, write_json, write_text
from stages.paths import RAW, VALIDATED

REPORT = Path("reports/validation.md")
FINDINGS = Path("reports/validation.json")
_ANEW = "these answers are stored: set data.vintage to the day of today, and the servers are asked anew"


class Params(Block):
    data: DataConfig
    universe: UniverseConfig


def stop_on_errors(findings: list[Finding], origins: dict[str, str], live: bool = False) -> None:
    """origins: {series: the file to look into}."""
    errors = [f"{origins[finding.series]}: {finding}" for finding in findings if finding.rule.severity == "error"]
    if errors:
        more = [f"and {len(errors) - READABLE} more"] if len(errors) > READABLE else []
        raise InputError("\n".join([*errors[:READABLE], *more, *([_ANEW] if live else [])]))


def files(manifest: pd.DataFrame) -> dict[str, str]:
    """The user's own file of each series, or the one in data/raw where there is none."""
    own = manifest["origin"].where(manifest["source"] == "directory", f"{RAW}/" + manifest["series"] + ".parquet")
    return dict(zip(manifest["series"], own, strict=True))


def as_markdown(manifest: pd.DataFrame, findings: list[Finding]) -> str:
    rules = [
        {"rule": rule.name, "severity": rule.severity, "series": ", ".join(rule.kinds), "what to do": rule.remedy}
        for rule in (*RULES, *TOGETHER)
    ]
    return render("validation.md.j2", series=series_lines(manifest), findings=finding_lines(findings), rules=rules)


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Findings for a person: each, or, of hundreds, one line per rule with the series that it is about most."""
    if len(findings) <= READABLE:
        return [f"{finding.rule.severity}: {finding}" for finding in findings]
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule.name, []).append(finding)
    lines = []
    for name, own in by_rule.items():
        worst = sorted(own, key=lambda finding: -len(finding.where))
        told = some([f"{one.series} ({len(one.where)})" for one in worst])
        lines.append(f"{own[0].rule.severity}: {name}: {len(own)} series, most often {told}; {own[0].rule.remedy}")
    return lines


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
    params = load_params(Params)
    accepted, holes = params.data.accepted, params.universe.holes
    manifest = read_csv(RAW / "manifest.csv", keep_default_na=False)
    kinds = dict(zip(manifest["series"], manifest["kind"], strict=True))
    series = {name: (kind, read_parquet(RAW / f"{name}.parquet")) for name, kind in kinds.items()}
    alone = [one for name, about in series.items() for one in validate(name, *about, accepted.get(name, []), holes)]
    stop_on_errors(alone, files(manifest), (manifest["source"] == "live").any())
    together = validate_together(series)
    stop_on_errors(together, files(manifest))
    findings = alone + together
    write_json(VALIDATED, summary(manifest, findings))
    write_text(REPORT, as_markdown(manifest, findings))
    write_json(FINDINGS, as_records(findings))
    for line in finding_lines(together):
        print(f"validate: {line}")
    print(f"validate: {len(manifest)} series pass, {len(findings)} warnings (see {REPORT})")


if __name__ == "__main__":
    run(main)
