"""The losses of a run after each epoch, kept beside the ledger: results/epochs/<key>.csv. What L(C) is fitted to.

Columns: epoch, train_loss, validation_loss and windows_seen by its end, as DVCLive logged them. An epoch is what lies
between two validations. Each window costs the same compute, so that the ledger's FLOPs of the whole training say what
it had cost by then; older tables lack the windows: there every epoch was a pass. Only runs of one division of the
days: a walk-forward run logs the curves of its first fold, and its FLOPs are of all. Assumed, not studied: a loss in
the middle of a learning-rate schedule stands for that of a schedule which ends there; it is higher, so the frontier is
from above.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.errors import InputError
from finscale.identity import SINGLE
from finscale.scaling.laws.frontier import Frontier, compute_frontier
from finscale.storage import read_csv

FOLDER = Path("results/epochs")
_COLUMNS = ["epoch", "train_loss", "validation_loss"]
_WINDOWS = "windows_seen"


def epochs_path(folder: Path, key: str) -> Path:
    return folder / f"{key}.csv"


def epochs_table(train: bytes, validation: bytes, windows: bytes | None = None) -> pd.DataFrame:
    """epoch, train_loss, validation_loss, and windows_seen where told: DVCLive's tables of step and value.

    A training that was interrupted logs the epochs after its checkpoint again: the last of a step counts.
    """
    told = {"train_loss": train, "validation_loss": validation} | ({_WINDOWS: windows} if windows else {})
    columns = {name: _by_step(one) for name, one in told.items()}
    table = pd.DataFrame(columns).sort_index()
    return table.rename_axis("epoch").reset_index()


def _by_step(table: bytes) -> pd.Series:
    rows = pd.read_csv(io.BytesIO(table), sep="\t").drop_duplicates("step", keep="last")
    return rows.set_index("step").iloc[:, -1]


def read_epochs(path: Path, epochs_run: int) -> pd.DataFrame:
    """One run's table. epochs_run: the ledger's. Raises InputError naming the file where it is none of this run."""
    table = read_csv(path)
    whole = list(table) in (_COLUMNS, [*_COLUMNS, _WINDOWS]) and table["epoch"].tolist() == list(
        range(1, epochs_run + 1)
    )
    if not whole or not np.isfinite(table.to_numpy(float)).all():
        raise InputError(
            f"{path}: no table of {', '.join(_COLUMNS)} with a row for each of {epochs_run} epochs; delete it: `make "
            "collect` writes it again while DVC has the experiment"
        )
    return table


def frontier_of(runs: pd.DataFrame, folder: Path) -> Frontier:
    """L(C) of the runs of one curve, from their validation losses by epoch.

    runs: of name_experiments, of one curve. Raises InputError where that cannot be: runs without such a table (as older
    ones and those whose log DVC has lost), walk-forward runs, too few points.
    """
    if (runs["scheme"] != SINGLE).any():
        raise InputError("walk-forward runs log the epochs of their first fold only")
    missing = [str(key) for key in runs["key"] if not epochs_path(folder, key).exists()]
    if missing or runs.empty:
        raise InputError(f"losses per epoch were kept of {len(runs) - len(missing)} of {len(runs)} runs")
    parts = []
    for row in runs.to_dict("records"):
        table = read_epochs(epochs_path(folder, row["key"]), int(row["epochs_run"]))
        seen = table[_WINDOWS] if _WINDOWS in table else table["epoch"]
        before = float(row.get("pretrain_windows") or 0) if _WINDOWS in table else 0.0
        before = 0.0 if np.isnan(before) else before
        flops = float(row["train_flops"]) * (before + seen) / (before + seen.iloc[-1])
        told = {"params": row["params"], "seed": row["seed"], "epoch": table["epoch"], "flops": flops}
        parts.append(pd.DataFrame(told | {"loss": table["validation_loss"]}))
    return compute_frontier(pd.concat(parts, ignore_index=True))


def frontier_told(runs: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """frontier_of ready for write_json, or `refused` and why; with `words`, one sentence."""
    try:
        found = frontier_of(runs, folder)
    except InputError as error:
        return {"refused": str(error), "words": f"No compute frontier L(C): {error}."}
    told = {name: getattr(found, name) for name in ("exponent", "low", "high", "coefficient", "status")}
    return told | {"points": found.points.to_dict("list"), "words": _words(found)}


def _words(found: Frontier) -> str:
    start = "Compute frontier L(C), from validation losses by epoch"
    if found.status == "unidentified":
        return f"{start}: one size is best at all budgets, which is its training curve and no frontier."
    interval = "no size was repeated" if found.low is None else f"{found.low:.4f} to {found.high:.4f} over seeds"
    sizes = ", ".join(f"{size:,.0f}" for size in sorted(set(found.points["params"])))
    return f"{start}: the lowest loss falls as FLOPs ^ -{found.exponent:.4f} ({interval}); best sizes: {sizes}."
