"""results/recipe.csv: one row per finished run, added as it ends; several processes may add to it."""

import fcntl
from pathlib import Path

import pandas as pd

from finscale.storage import read_csv, write_parquet
from study.recipe.measure import Measured
from study.recipe.protocol import BASELINES, Planned, Protocol

TABLE = Path("results/recipe.csv")
DAILY = Path("results/recipe")  # losses per day of runs on real days: <run>.parquet
COLUMNS = (
    "candidate", "data", "budget", "seed", "measure", "value", "loss", "base_loss", "law_loss", "low", "high",
    "measured", "params", "windows", "steps", "best_epoch", "validation_rows", "validation_loss", "seconds", "changes",
    "settings", "code",
)  # fmt: skip
ONE_OF_THEM = "catboost"  # a baseline of every task: where it is, all are
_NAMES = ("candidate", "data", "budget", "settings", "code", "best_epoch")


def read_rows(path: Path = TABLE) -> pd.DataFrame:
    """The runs so far; no rows where there is no file."""
    return read_csv(path, text=_NAMES) if path.exists() else pd.DataFrame(columns=list(COLUMNS))


def is_done(planned: Planned, rows: pd.DataFrame) -> bool:
    """Whether the table holds this run, made with these very settings, by whatever version of the code."""
    run = planned.run
    same = (rows["data"] == run.data) & (rows["budget"] == run.budget) & (rows["seed"] == run.seed)
    same &= rows["settings"] == planned.digest
    named = ONE_OF_THEM if run.candidate == BASELINES else run.candidate
    return bool((same & (rows["candidate"] == named)).any())


def add(planned: Planned, found: list[Measured], code: str, protocol: Protocol, path: Path = TABLE) -> None:
    """Append what a run found, one process at a time; losses per day of real days to files of their own."""
    named = {"data": planned.run.data, "budget": planned.run.budget, "seed": planned.run.seed}
    named |= {"measure": planned.measure, "settings": planned.digest, "code": code}
    rows = []
    for one in found:
        own = {"candidate": one.candidate, "changes": _words(protocol, one.candidate)}
        rows.append({name: (named | own | one.row).get(name) for name in COLUMNS})
        if planned.measure == "skill":
            name = planned.run.name.replace(planned.run.candidate, one.candidate, 1)
            write_parquet(DAILY / f"{name}.parquet", one.daily)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(
            file, header=file.tell() == 0, index=False, float_format="%.6g"
        )


def _words(protocol: Protocol, candidate: str) -> str:
    """What a candidate sets otherwise than the author, in one cell: 'a=1 b=2'; nothing for a baseline."""
    changes = protocol.changes(candidate) if candidate in protocol.candidates else {}
    return " ".join(f"{key}={value}" for key, value in sorted(changes.items()))
