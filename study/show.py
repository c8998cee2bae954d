"""show: every finished experiment, as a table a person can read

Reads  refs/exps: params.yaml and metrics/evaluate.json of each experiment's commit, through one `git cat-file`
Why    DVC's own table has a column for each of a hundred settings and files. This one keeps the settings
       that vary, the counted size, the losses and the skill. Rows are in order of what was asked for,
       never of the test loss, which nobody should choose by.
"""

import json

import pandas as pd
import yaml
from tabulate import tabulate

from finscale.cli import run
from finscale.config import parse_budget
from finscale.errors import InputError
from study.experiments import commits_of
from study.programs import git_bytes

METRICS, PARAMS = "metrics/evaluate.json", "params.yaml"
INTERVALS = ("test_loss", "test_skill")


def read_experiments() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Settings (axes first, blocks with dots) and metrics of every experiment that recorded a result, by its name."""
    found = list(commits_of())
    texts = read_objects([f"{commit}:{path}" for _, commit in found for path in (METRICS, PARAMS)])
    read = zip((name for name, _ in found), texts[::2], texts[1::2], strict=True)
    finished = [(name, metrics, params) for name, metrics, params in read if metrics and params]
    names = [name for name, _, _ in finished]
    settings = pd.json_normalize([yaml.load(params, yaml.CSafeLoader) for _, _, params in finished])
    return settings.set_axis(names), pd.DataFrame([json.loads(metrics) for _, metrics, _ in finished], names)


def read_objects(names: list[str]) -> list[bytes | None]:
    """The contents of git objects such as `<commit>:params.yaml`, in one process; None for what is not there."""
    asked = "".join(f"{name}\n" for name in names).encode()
    told = git_bytes("cat-file", "--batch", told=asked)
    contents: list[bytes | None] = []
    at = 0
    for _ in names:
        end = told.index(b"\n", at)
        header = told[at:end].split()  # <object> <type> <size>, or <name> missing
        if header[-1] == b"missing":
            contents.append(None)
            at = end + 1
            continue
        size = int(header[-1])
        contents.append(told[end + 1 : end + 1 + size])
        at = end + 1 + size + 1
    return contents


def comparison(settings: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per experiment: its name, the settings that vary, and the results with intervals."""
    told = settings.astype(str)
    varying = [name for name in told if told[name].nunique() > 1]
    sizes, seeds = settings["budget"].map(parse_budget), settings["seed"]
    keys = told[[name for name in varying if name not in ("budget", "seed")]].assign(size=sizes, seed=seeds)
    order = keys.assign(name=keys.index).sort_values([*keys, "name"]).index
    metrics = metrics.loc[order]
    table = told.loc[order, varying].assign(params=metrics["params_counted"].map("{:,.0f}".format))
    table["validation loss"] = metrics["validation_loss"].map("{:.5f}".format)
    for name in INTERVALS:
        table[name.replace("_", " ")] = [
            f"{value:.4f} ({low:.4f} to {high:.4f})"
            for value, low, high in metrics[[name, f"{name}_low", f"{name}_high"]].itertuples(index=False)
        ]
    return table.rename_axis("experiment").reset_index()


def main() -> None:
    settings, metrics = read_experiments()
    if metrics.empty:
        raise InputError(
            "no finished experiment here: `dvc exp run -S budget=300K` makes one, and `dvc exp pull -A origin` fetches "
            "those of the repository that this is a clone of (a clone comes without them)"
        )
    table = comparison(settings, metrics)
    print(tabulate(table.to_dict("records"), headers="keys", disable_numparse=True, stralign="right"))


if __name__ == "__main__":
    run(main)
