"""validate: data/raw -> a verdict, or one clear error

Reads  data/raw/*.parquet, data/raw/manifest.csv
Writes metrics/validate.json   per series: its kind, rows, first and last day, warnings
       reports/validation.md   every finding with its dates, and what each rule means
       reports/validation.json the same for machines: series, rule, severity, where, remedy
Why    a hole or a bad price found here costs a minute; found in a result it costs the result.
"""

from pathlib import Path

import pandas as pd

from finscale.cli import run
from finscale.data.validation import RULES, Finding, validate
from finscale.errors import InputError
from finscale.pages.render import render
from finscale.storage import read_parquet, write_json, write_text
from stages.paths import RAW, VALIDATED

REPORT = Path("reports/validation.md")
FINDINGS = Path("reports/validation.json")


def stop_on_errors(findings: list[Finding]) -> None:
    errors = [f"{RAW / finding.series}.parquet: {finding}" for finding in findings if finding.rule.severity == "error"]
    if errors:
        raise InputError("\n".join(errors))


def as_markdown(manifest: pd.DataFrame, findings: list[Finding]) -> str:
    rules = [
        {"rule": rule.name, "severity": rule.severity, "series": ", ".join(rule.kinds), "what to do": rule.remedy}
        for rule in RULES
    ]
    series = manifest.to_dict("records")
    return render("validation.md.j2", series=series, findings=findings, rules=rules)


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
    manifest = pd.read_csv(RAW / "manifest.csv", keep_default_na=False)
    findings = [
        finding
        for name, kind in zip(manifest["series"], manifest["kind"], strict=True)
        for finding in validate(name, kind, read_parquet(RAW / f"{name}.parquet"))
    ]
    stop_on_errors(findings)
    write_json(VALIDATED, summary(manifest, findings))
    write_text(REPORT, as_markdown(manifest, findings))
    write_json(FINDINGS, as_records(findings))
    print(f"validate: {len(manifest)} series pass, {len(findings)} warnings (see {REPORT})")


if __name__ == "__main__":
    run(main)
