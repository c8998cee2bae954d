"""The losses of a run on each test day, kept beside the ledger: results/daily/<key>.parquet.

They are what the stage `evaluate` wrote, byte for byte: date, rows (symbols of the day), then the mean loss of the
model (calibrated), of the model as it left training, and of each baseline.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import ArrowException

from finscale.errors import InputError
from finscale.evaluation.day_file import ROUNDING, read_day_file

FOLDER = Path("results/daily")
COLUMNS = ("date", "rows", "model", "model_raw")


def daily_path(folder: Path, key: str) -> Path:
    return folder / f"{key}.parquet"


def unseen_path(folder: Path, key: str) -> Path:
    """The same of the second test, on symbols that never trained, where a run had one."""
    return folder / f"{key}-unseen.parquet"


def read_daily(path: Path, test_loss: float | None = None, test_rows: int | None = None) -> pd.DataFrame:
    """One run's losses, a row per test day, oldest first.

    test_loss, test_rows: what the ledger says of the run; the file must add up to them. Raises InputError naming the
    file, what is wrong with it, and the way out.
    """
    try:
        losses = read_day_file(path)
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; runs of older code have none, `make collect` writes those of newer"
        ) from None
    except (OSError, ArrowException, ValueError) as error:
        raise _wrong(path, f"no parquet file can be read there ({error})") from None
    if missing := [name for name in COLUMNS if name not in losses]:
        raise _wrong(path, f"it lacks {', '.join(missing)}")
    values = losses.drop(columns="date").to_numpy(float)
    if losses.empty or not np.isfinite(values).all() or (losses["rows"] < 1).any():
        raise _wrong(path, "it has no day, a day without rows, or a loss that is no finite number")
    if not losses["date"].is_monotonic_increasing or losses["date"].duplicated().any():
        raise _wrong(path, "its days do not follow each other")
    mean = float(np.average(losses["model"], weights=losses["rows"]))
    if test_rows is not None and int(losses["rows"].sum()) != test_rows:
        raise _wrong(path, f"it has {losses['rows'].sum():.0f} rows, the ledger's run {test_rows}")
    if test_loss is not None and abs(mean - test_loss) > ROUNDING * max(abs(test_loss), 1e-12):
        raise _wrong(path, f"its mean loss is {mean:.7g}, the ledger's run has {test_loss:.7g}")
    return losses


def _wrong(path: Path, said: str) -> InputError:
    return InputError(f"{path}: {said}; delete the file: `make collect` writes it again while DVC has the experiment")
