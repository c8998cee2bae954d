"""phase: the rows of phases.yaml that the ledger lacks -> experiments, ledger, curve

Reads  phases.yaml, params.yaml, results/ledger.csv
Writes results/ledger.csv after every finished run
       results/refused.csv  runs that the data refused, and why
Why    a grid of a hundred runs is interrupted more often than not: what is finished is never run again,
       what failed is, and `--dry` says beforehand what it will cost on this machine.

    python -m study.phase 6A --dry
    python -m study.phase 1 --budgets 10K 30K 100K --set source=directory --jobs 2
    python -m study.phase 2 --only P2-500 P2-1000
"""

import argparse
import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock
from tabulate import tabulate

from finscale.cli import run
from finscale.data.config import EvaluationConfig
from finscale.errors import InputError
from finscale.imports import read_sources
from finscale.scaling.ledger import read_ledger
from finscale.scaling.phases import Row, load_phase
from finscale.scaling.refused import add_refused, is_refusal, read_refused, refusal
from finscale.scaling.settings import digest_of, settings_of
from finscale.storage import write_csv
from study.collect import LEDGER, LOCK, collect
from study.cost import estimate
from study.experiments import code_hash, params_with, planned_keys, read_workspace
from study.workers import LOGS, Run, reason, reasons, work_off

PHASES = Path("phases.yaml")
REFUSED = Path("results/refused.csv")


def missing(rows: list[Row], settings: dict[str, Any]) -> list[Row]:
    """The rows whose key the ledger does not hold, whatever state of the raw data it was run on."""
    ledger, code = read_ledger(LEDGER), code_hash(read_sources())
    known, data = set(ledger["key"]), sorted(set(ledger.get("data", [])))
    return [row for row in rows if not known & set(planned_keys(dict(row.axes) | settings, code, data))]


def as_run(row: Row, settings: dict[str, Any]) -> Run:
    """A name that changes with settings and code, so that a new result never replaces an old one."""
    told = json.dumps(
        [dict(row.axes), settings, code_hash(read_sources()), read_workspace("params.yaml")], sort_keys=True
    )
    digest = hashlib.sha256(told.encode()).hexdigest()[:6]
    return Run(f"{row.run_name}-{digest}", dict(row.axes) | settings)


def show(rows: list[Row], wanted: int, jobs: int, settings: dict[str, Any]) -> None:
    """What is to be done, and what it costs."""
    costs = [estimate(dict(row.axes) | settings) for row in rows]
    table = [
        {"run": row.run_name, "parameters": f"{cost.parameters:,}", "folds": cost.folds,
         "training FLOPs": f"{cost.flops:.2e}",
         "minutes": f"{cost.seconds / 60:.1f}", "memory GB": f"{cost.gigabytes:.2f}"}
        for row, cost in zip(rows, costs, strict=True)
    ]  # fmt: skip
    print(tabulate(table, headers="keys", disable_numparse=True, stralign="right"))
    hours = sum(cost.seconds for cost in costs) / 3600 / jobs
    print(f"phase: {len(rows)} of {wanted} runs to do, at most {hours:.1f} hours with {jobs} side by side")
    if (models := sum(cost.folds for cost in costs)) > len(rows):
        print(f"phase: walk-forward trains one model per fold, {models} in all; FLOPs and minutes are of all folds")


def parse_settings(words: list[str]) -> dict[str, Any]:
    """['data.end=2024-12-31', ...] -> {key: value}, values as YAML reads them; dates stay text, as in params.yaml."""
    pairs = dict(word.split("=", 1) for word in words if "=" in word)
    if len(pairs) != len(words):
        raise InputError(f"--set takes KEY=VALUE, not {[word for word in words if '=' not in word]}")
    read = {key: yaml.safe_load(value) for key, value in pairs.items()}
    return {key: value.isoformat() if isinstance(value, date) else value for key, value in read.items()}


def record_refusals(failed: list[Run]) -> None:
    """Those of the failed runs that failed for want of data go on record: a figure then says so."""
    rows = []
    for one in failed:
        if is_refusal(words := reason(one)):
            params = params_with(one.settings)
            scheme = EvaluationConfig.model_validate(params["evaluation"]).identity(params["source"])
            rows.append(refusal(params, scheme, digest_of(settings_of(params)), words))
    if rows:
        with FileLock(LOCK):
            write_csv(REFUSED, add_refused(read_refused(REFUSED), rows))


def chosen(rows: list[Row], names: list[str] | None) -> list[Row]:
    """The rows of these names, P2-500 also for P2-500-10K but not for P2-5000; all of them for None."""
    if names is None:
        return rows
    of = {name: [row for row in rows if f"{row.name}-".startswith(f"{name}-")] for name in names}
    if unknown := [name for name, found in of.items() if not found]:
        known = ", ".join(dict.fromkeys(row.name for row in rows))
        raise InputError(f"--only: there is no row {', '.join(unknown)}; there are {known}")
    return [row for row in rows if any(row in found for found in of.values())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase", help="1 to 6, or 6A")
    parser.add_argument("--dry", action="store_true", help="list what is missing and what it costs; run nothing")
    parser.add_argument("--jobs", type=int, default=2, help="experiments side by side")
    parser.add_argument("--budgets", nargs="+", help="in place of the phase's own")
    parser.add_argument("--seeds", nargs="+", type=int, help="in place of the file's")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="these rows alone, such as P2-500")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of every run, such as source"
    )
    asked = parser.parse_args()
    settings = parse_settings(asked.set)
    rows = chosen(load_phase(PHASES, asked.phase, asked.budgets, asked.seeds), asked.only)
    rows = [Row(row.name, {axis: settings.get(axis, value) for axis, value in row.axes.items()}) for row in rows]
    settings = {key: value for key, value in settings.items() if key not in rows[0].axes}
    collect()
    todo = missing(rows, settings)
    if asked.dry:
        show(todo, len(rows), asked.jobs, settings)
        return
    print(f"phase: {len(todo)} of {len(rows)} runs to do, {asked.jobs} side by side; logs in {LOGS}")
    failed = work_off([as_run(row, settings) for row in todo], asked.jobs, lambda: collect(quiet=True))
    record_refusals(failed)
    if failed:
        raise InputError(
            f"{len(failed)} of {len(todo)} runs failed; the same command tries them again, {LOGS} has their logs\n"
            f"{reasons(failed)}"
        )
    print("phase: done; `dvc repro` redraws the curve")


if __name__ == "__main__":
    run(main)
