"""phase: the rows of phases.yaml that the ledger lacks -> experiments, ledger, curve

Reads  phases.yaml, params.yaml, results/ledger.csv
Writes results/ledger.csv after every finished run
       results/refused.csv  runs that the data refused, and why
Why    a grid of a hundred runs is interrupted more often than not: what is finished is never run again,
       what failed is, and `--dry` says beforehand what it will cost on this machine, and which runs have too few rows
       or positives to be run at all. It writes nothing.

    python -m study.phase pilot
    python -m study.phase 6A --dry
    python -m study.phase 1 --budgets 10K 30K 100K --set source=directory --jobs 2
    python -m study.phase 2 --only P2-500 P2-1000
    python -m study.phase 1 --on tls://head:8786 --with GPU=1     on a cluster (docs/cluster.md)
"""

import argparse
import hashlib
import json
from collections.abc import Mapping
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
from finscale.recipes import recipe_settings
from finscale.scaling.ledger import read_ledger
from finscale.scaling.phases import Row, hypothesis, load_phase, phase_settings, recipe_of
from finscale.scaling.refused import extend_refused, is_refusal, refusal
from finscale.scaling.settings import digest_of, settings_of
from study.cluster.head import pack_references
from study.cluster.place import open_place, parse_needs
from study.collect import LEDGER, LOCK, collect
from study.cost import Cost, estimate
from study.experiments import code_hash, finished, params_with, planned_keys, read_workspace
from study.workers import LOGS, Done, Run, reason, reasons, work_off

PHASES = Path("phases.yaml")
REFUSED = Path("results/refused.csv")


def missing(rows: list[Row], settings: dict[str, Any]) -> list[Row]:
    """The rows whose key neither the ledger nor a finished experiment has, whatever raw data it was run on."""
    ledger, code = read_ledger(LEDGER), code_hash(read_sources())
    done = [one.row for one in finished() if not one.left_out]
    known = set(ledger["key"]) | {row["key"] for row in done}
    data = sorted(set(ledger.get("data", [])) | {row["data"] for row in done})
    return [row for row in rows if not known & set(planned_keys(dict(row.axes) | settings, code, data))]


def as_runs(rows: list[Row], settings: dict[str, Any]) -> list[Run]:
    """Names that change with settings and code, so that a new result never replaces an old one."""
    code, params = code_hash(read_sources()), read_workspace("params.yaml")

    def digest(row: Row) -> str:
        told = json.dumps([dict(row.axes), settings, code, params], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:6]

    return [Run(f"{row.run_name}-{digest(row)}", dict(row.axes) | settings) for row in rows]


def divide(rows: list[Row], settings: dict[str, Any]) -> tuple[list[tuple[Row, Cost]], dict[str, list[Row]]]:
    """The rows that can be run, with what they cost; and those that `dataset` will refuse, by its reason."""
    costs = [estimate(dict(row.axes) | settings) for row in rows]
    refused: dict[str, list[Row]] = {}
    for row, cost in zip(rows, costs, strict=True):
        if cost.refused:
            refused.setdefault(cost.refused, []).append(row)
    return [(row, cost) for row, cost in zip(rows, costs, strict=True) if not cost.refused], refused


def show_refused(refused: dict[str, list[Row]]) -> None:
    for words, rows in refused.items():
        cells = ", ".join(dict.fromkeys(row.name for row in rows))
        print(f"phase: refused, {len(rows)} runs: {words}\n    {cells}")


def show(todo: list[tuple[Row, Cost]], wanted: int, jobs: int) -> None:
    """What is to be done, and what it costs."""
    table = [
        {"run": row.run_name, "parameters": f"{cost.parameters:,}", "folds": cost.folds,
         "training FLOPs": f"{cost.flops:.2e}",
         "minutes": f"{cost.seconds / 60:.1f}", "memory GB": f"{cost.gigabytes:.2f}"}
        for row, cost in todo
    ]  # fmt: skip
    print(tabulate(table, headers="keys", disable_numparse=True, stralign="right"))
    costs = [cost for _, cost in todo]
    hours = sum(cost.seconds for cost in costs) / 3600 / jobs
    print(f"phase: {len(costs)} of {wanted} runs to do, at most {hours:.1f} hours with {jobs} side by side")
    if (models := sum(cost.folds for cost in costs)) > len(costs):
        print(f"phase: walk-forward trains one model per fold, {models} in all; FLOPs and minutes are of all folds")
    if unseen := sum(not cost.checked for cost in costs):
        print(
            f"phase: the prices of {unseen} runs are not on this machine yet: some of them may be refused for lack of "
            "rows or positives, and their windows are counted as if every series began with data.start"
        )


def parse_settings(words: list[str]) -> dict[str, Any]:
    """['data.end=2024-12-31', ...] -> {key: value}, values as YAML reads them; dates stay text, as in params.yaml."""
    pairs = dict(word.split("=", 1) for word in words if "=" in word)
    if len(pairs) != len(words):
        raise InputError(f"--set takes KEY=VALUE, not {[word for word in words if '=' not in word]}")
    read = {key: yaml.safe_load(value) for key, value in pairs.items()}
    return {key: value.isoformat() if isinstance(value, date) else value for key, value in read.items()}


def record_refusals(failed: list[tuple[Mapping[str, Any], str]]) -> None:
    """Runs that the data refuse go on record: a figure then says so. failed: settings of each, and why it was none."""
    rows = []
    for settings, words in failed:
        if is_refusal(words):
            params = params_with(settings)
            scheme = EvaluationConfig.model_validate(params["evaluation"]).identity(params["source"])
            rows.append(refusal(params, scheme, digest_of(settings_of(params)), words))
    if rows:
        with FileLock(LOCK):
            extend_refused(REFUSED, rows)


def chosen(rows: list[Row], names: list[str] | None) -> list[Row]:
    """The rows of these names, P2-500 also for P2-500-10K but not for P2-5000; all of them for None."""
    if names is None:
        return rows
    of = {name: [row for row in rows if f"{row.name}-".startswith(f"{name}-")] for name in names}
    if unknown := [name for name, found in of.items() if not found]:
        known = ", ".join(dict.fromkeys(row.name for row in rows))
        raise InputError(f"--only: there is no row {', '.join(unknown)}; there are {known}")
    return [row for row in rows if any(row in found for found in of.values())]


def all_settings(path: Path, phase: str, recipe: str | None = None) -> dict[str, Any]:
    """What runs of a phase set beside their axes: its recipe's values, then its own. recipe: in place of its own."""
    recipe = recipe or recipe_of(path, phase)
    return (recipe_settings(recipe) if recipe else {}) | phase_settings(path, phase)


def run_all(runs: list[Run], on: str, jobs: int, needs: dict[str, Any]) -> list[Run]:
    """Run all, here or where --on says, collecting after each; returns those that failed."""
    if not runs:
        return []
    with open_place(on, jobs, needs) as place:

        def keep(done: Done) -> None:
            place.fetch(done)
            collect(quiet=True)

        failed = work_off(runs, place.executor, keep, place.task)
    if place.away:
        pack_references()
    return failed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase", help="pilot, 1 to 6, or 6A")
    parser.add_argument("--dry", action="store_true", help="list what is missing and what it costs; run nothing")
    parser.add_argument("--jobs", type=int, default=2, help="experiments side by side")
    parser.add_argument(
        "--on", default="", metavar="WHERE", help="a cluster's address, slurm, or local (docs/cluster.md)"
    )
    parser.add_argument("--with", nargs="+", default=[], dest="needs", metavar="NAME=VALUE", help="what each run needs")
    parser.add_argument("--budgets", nargs="+", help="in place of the phase's own")
    parser.add_argument("--seeds", nargs="+", type=int, help="in place of the file's")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="these rows alone, such as P2-500")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of every run, such as source"
    )
    parser.add_argument("--recipe", help="recipes/<RECIPE>.yaml in place of the phase's own")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    settings = all_settings(PHASES, asked.phase, asked.recipe) | parse_settings(asked.set)
    rows = chosen(load_phase(PHASES, asked.phase, asked.budgets, asked.seeds), asked.only)
    rows = [Row(row.name, {axis: settings.get(axis, value) for axis, value in row.axes.items()}) for row in rows]
    settings = {key: value for key, value in settings.items() if key not in rows[0].axes}
    if words := hypothesis(PHASES, asked.phase):
        print(f"phase {asked.phase}, expected: {words}")
    if not asked.dry:
        collect()
    todo, refused = divide(missing(rows, settings), settings)
    show_refused(refused)
    if asked.dry:
        show(todo, len(rows), asked.jobs)
        return
    where = f"on {asked.on}" if asked.on else f"{asked.jobs} side by side"
    print(f"phase: {len(todo)} of {len(rows)} runs to do, {where}; logs in {LOGS}", flush=True)
    record_refusals([({**row.axes, **settings}, words) for words, of_reason in refused.items() for row in of_reason])
    if asked.on:  # the last one to end is then a small one
        todo.sort(key=lambda one: -one[1].flops)
    failed = run_all(as_runs([row for row, _ in todo], settings), asked.on, asked.jobs, parse_needs(asked.needs))
    record_refusals([(one.settings, reason(one)) for one in failed])
    if failed:
        raise InputError(
            f"{len(failed)} of {len(todo)} runs failed; the same command tries them again, {LOGS} has their logs\n"
            f"{reasons(failed)}"
        )
    print("phase: done; `dvc repro` redraws the curve")


if __name__ == "__main__":
    run(main)
