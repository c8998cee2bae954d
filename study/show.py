"""show: every experiment that DVC knows, as a table a person can read

Reads  `dvc exp show --all-commits --csv`
Why    DVC's own table has a column for each of a hundred files and settings. This one keeps the settings
       that vary, the counted size, the losses and the skill. Rows are in order of what was asked for,
       never of the test loss, which nobody should choose by.
"""

import io
import subprocess

import pandas as pd
import yaml
from tabulate import tabulate

from finscale.cli import run
from finscale.config import parse_budget
from finscale.errors import InputError
from study.experiments import read_workspace

RESULTS = ("params_counted", "validation_loss", "test_loss", "test_skill")


def read_experiments() -> pd.DataFrame:
    shown = subprocess.run(
        ["dvc", "exp", "show", "--all-commits", "--csv"], capture_output=True, text=True, check=False
    )
    if shown.returncode:
        raise InputError(f"dvc exp show failed:\n{shown.stderr.strip()}")
    return pd.read_csv(io.StringIO(shown.stdout), dtype={"budget": str, "horizon": str, "seed": "Int64"})


def comparison(experiments: pd.DataFrame, settings: list[str]) -> pd.DataFrame:
    """One row per finished experiment: its name, the settings that vary, and the results with intervals."""
    finished = experiments.dropna(subset=["Experiment", *RESULTS])
    varying = [name for name in settings if name in finished and finished[name].nunique(dropna=False) > 1]
    order = [name for name in varying if name != "budget"]
    size = finished["budget"].map(parse_budget)
    finished = finished.assign(size=size).sort_values([*(n for n in order if n != "seed"), "size", "Experiment"])
    table = finished[["Experiment", *varying]].assign(params=finished["params_counted"].map("{:,.0f}".format))
    table["validation loss"] = finished["validation_loss"].map("{:.5f}".format)
    for name in ("test_loss", "test_skill"):
        table[name.replace("_", " ")] = [
            f"{value:.4f} ({low:.4f} to {high:.4f})"
            for value, low, high in finished[[name, f"{name}_low", f"{name}_high"]].itertuples(index=False)
        ]
    return table


def settings() -> list[str]:
    """The names of all settings in params.yaml, axes first, blocks with dots."""
    return list(pd.json_normalize(yaml.safe_load(read_workspace("params.yaml") or "{}")).columns)


def main() -> None:
    table = comparison(read_experiments(), settings())
    if table.empty:
        raise InputError("no finished experiment yet: `dvc exp run -S budget=300K` makes one")
    print(tabulate(table.to_dict("records"), headers="keys", disable_numparse=True, stralign="right"))


if __name__ == "__main__":
    run(main)
