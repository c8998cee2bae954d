"""validate: data/raw -> a verdict, or one clear error

Reads  data/raw/*.parquet
Writes metrics/validate.json   rows, errors and warnings per series
       reports/validation.md   every finding, with its dates
Why    a hole or a bad price found here costs a minute; found in a result it costs the result.
"""

from pathlib import Path

import pandas as pd

from finscale.cli import run
from finscale.errors import InputError
from finscale.storage import read_parquet, write_json, write_text
from finscale.validation import RULES, Finding, validate

RAW = Path("data/raw")
METRICS = Path("metrics/validate.json")
REPORT = Path("reports/validation.md")


def stop_on_errors(findings: list[Finding]) -> None:
    errors = [f"{RAW / finding.symbol}.parquet: {finding}" for finding in findings if finding.rule.severity == "error"]
    if errors:
        raise InputError("\n".join(errors))


def as_markdown(series: dict[str, pd.DataFrame], findings: list[Finding]) -> str:
    lines = ["# Validation of the raw series", ""]
    lines += [f"- {name}: {len(frame)} rows, {len(RULES)} rules" for name, frame in series.items()]
    lines += ["", "## Findings", ""]
    lines += [f"- {finding.rule.severity}: {finding}" for finding in findings] or ["None."]
    return "\n".join(lines) + "\n"


def main() -> None:
    series = {path.stem: read_parquet(path) for path in sorted(RAW.glob("*.parquet"))}
    findings = [finding for name, frame in series.items() for finding in validate(name, frame)]
    stop_on_errors(findings)
    warned = {name: sum(finding.symbol == name for finding in findings) for name in series}
    write_json(METRICS, {name: {"rows": len(frame), "warnings": warned[name]} for name, frame in series.items()})
    write_text(REPORT, as_markdown(series, findings))
    print(f"validate: {len(series)} series pass {len(RULES)} rules, {len(findings)} warnings (see {REPORT})")


if __name__ == "__main__":
    run(main)
