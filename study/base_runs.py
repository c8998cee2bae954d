"""base_runs: finished experiments -> results/base_runs/, the inputs of the stage `meta`

Reads  refs/exps (DVC's finished experiments) and their predictions in the DVC cache
Writes results/base_runs/<run>.parquet  date, asset, prediction, known_until: out-of-sample rows, no labels
       results/base_runs/<run>.json     axes, column, what the run was made on, and the commit and hash that they were
                                        taken from
Why    the files belong into git, as the ledger does: they are small, and with them `dvc repro meta` gives the same
       result in any clone, also when the experiments and the cache are gone.
"""

import argparse
import hashlib
import io
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import is_binary, name_only, parse_yaml
from finscale.errors import InputError
from finscale.meta.base_runs import BaseRun, check_clean, check_closed, default_column, extract
from finscale.meta.made_on import check_made_on, made_on
from finscale.scaling.settings import Settings
from finscale.storage import write_json, write_parquet
from study.experiments import commits_of, read_commit
from study.pinned import locked, read_pinned

BASE_RUNS = Path("results/base_runs")
PREDICTIONS = "data/processed/predictions.parquet"
EXPERIMENT = "metrics/experiment.json"


def take(name: str, column: str | None) -> dict[str, Any]:
    """Extract one experiment's predictions and write both files; returns what the second one says."""
    try:
        commit = commit_of(name_only(name))  # it becomes the name of two files
    except ValueError as error:
        raise InputError(f"{name} is no name of an experiment: {error}") from None
    told = read_commit(commit).get(EXPERIMENT)
    if told is None:
        raise InputError(f"experiment {name} has no {EXPERIMENT}: it did not finish; run it again")
    axes, content = json.loads(told)["axes"], read_predictions(commit, name)
    binary = is_binary(axes["task"])
    column = column or default_column(binary)
    base = BaseRun(name, axes, extract(pd.read_parquet(io.BytesIO(content)), column, binary, name))
    check_clean(base)
    check_closed(base)
    days = base.rows["date"]
    about = {
        "run": name,
        "commit": commit,
        "predictions_md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "column": column,
        "rows": len(base.rows),
        "first": f"{days.min():%Y-%m-%d}",
        "last": f"{days.max():%Y-%m-%d}",
        "axes": axes,
        "made_on": made_on_of(name),
    }
    write_parquet(BASE_RUNS / f"{name}.parquet", base.rows)
    write_json(BASE_RUNS / f"{name}.json", about)
    return about


def made_on_of(name: str) -> Settings:
    """What a finished experiment was made on, as its own params.yaml says."""
    return made_on(parse_yaml(read_commit(commit_of(name))["params.yaml"]))


def check_alike(names: list[str]) -> None:
    """Raise InputError where runs that are taken together were not made on the same source, dates and kind of price."""
    found = {name: made_on_of(name) for name in names}
    for before, name in combinations(names, 2):  # each pair: two thresholds have a key that a direction lacks
        check_made_on(name, found[name], f"run {before}", found[before], "inputs of one meta-model agree in it")


def commit_of(name: str) -> str:
    """The commit of a finished experiment. Raises InputError where there is none, or more than one."""
    commits = [commit for other, commit in commits_of() if other == name]
    if len(commits) != 1:
        raise InputError(
            f"{len(commits)} finished experiments are called {name}; `dvc exp list --all-commits` names them"
        )
    return commits[0]


def read_predictions(commit: str, name: str) -> bytes:
    """The file as that commit's dvc.lock pins it, from the cache or else the remote."""
    return read_pinned(commit, PREDICTIONS, locked(read_commit(commit).get("dvc.lock"), "evaluate", PREDICTIONS), name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="names of finished experiments")
    parser.add_argument("--column", help="of the predictions; default calibrated_none, or model for a regression")
    asked = parser.parse_args()
    check_alike(asked.runs)
    for name in asked.runs:
        about = take(name, asked.column)
        print("base_runs: {run}: {rows} rows of {column}, {first} to {last}".format(**about))
    print(f"base_runs: name them in params.yaml, meta.runs, and commit {BASE_RUNS}")


if __name__ == "__main__":
    run(main)
