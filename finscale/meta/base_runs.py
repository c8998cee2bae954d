"""What a finished run predicted out of sample, and until when its model had seen data.

A base run is a table: date, asset, prediction, known_until. `known_until` is the last day of which the model that made
the prediction had seen anything: the latest exit among the labels that trained it, chose its epoch or calibrated it.
No label is in it: those of the meta-model come from its own experiment.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_datetime64_any_dtype
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finscale.calendar import sessions
from finscale.config import Timescale
from finscale.data.bars import get_freq_string, resample_ohlcv
from finscale.data.splits import Split
from finscale.errors import InputError
from finscale.storage import read_json, read_parquet

COLUMNS = ("date", "asset", "prediction", "known_until")
UNCALIBRATED = ("calibrated_none", "logistic", "catboost", "volatility")  # of a binary task
_OUT_OF_SAMPLE: tuple[Split, ...] = ("validation", "calibration", "test")
_CALENDAR_BARS: tuple[Timescale, ...] = ("weekly", "2week", "monthly")


class About(BaseModel):
    """What <run>.json says of <run>.parquet beside it."""

    model_config = ConfigDict(extra="allow")

    run: str
    rows: Annotated[int, Field(gt=0)]
    first: date
    last: date
    axes: dict[str, Any]
    made_on: dict[str, Any] | None = None  # older files do not tell it


@dataclass(frozen=True)
class BaseRun:
    """One input of the meta-module. axes: those of the run, as metrics/experiment.json has them."""

    name: str
    axes: dict[str, Any]
    rows: pd.DataFrame  # COLUMNS

    @property
    def timescale(self) -> Timescale:
        return self.axes["timescale"]


def default_column(binary: bool) -> str:
    """Raw probabilities, so that the calibration rows are out of sample as well; a regression is never calibrated."""
    return "calibrated_none" if binary else "model"


def extract(predictions: pd.DataFrame, column: str, binary: bool, name: str) -> pd.DataFrame:
    """The out-of-sample rows of `evaluate`'s predictions, as COLUMNS.

    predictions: date, asset, split, exit and the column; in a walk-forward table also `fold`, each with rows of its own
    model, and known_until where the rows tell it themselves. Kept are test rows and, where the column is not
    calibrated, calibration rows of days that no test row has. Validation rows chose the epoch and are never kept.
    Raises InputError for training rows, and where a fold does not tell what its model had seen.
    """
    needed = [wanted for wanted in ("date", "asset", "split", "exit", column) if wanted not in predictions]
    if needed:
        raise InputError(
            f"{name}: its predictions lack the column {', '.join(needed)}; they have {', '.join(predictions)}"
        )
    if strange := sorted(set(predictions["split"]) - set(_OUT_OF_SAMPLE)):
        raise InputError(f"{name}: rows of split {', '.join(strange)} are in-sample for the model; leave them out")
    calibrated = binary and column not in UNCALIBRATED
    rows = predictions.assign(known_until=_known_until(predictions, calibrated, name), prediction=predictions[column])
    kept = rows[rows["split"].isin(["test"] if calibrated else ["calibration", "test"])]
    kept = kept.sort_values(["asset", "date", "split"]).drop_duplicates(["asset", "date"], keep="last")
    return kept[list(COLUMNS)].reset_index(drop=True)


def read_stored(folder: Path, name: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """What a base run is, and its rows: <folder>/<name>.json and .parquet.

    Raises InputError naming the file where one of them cannot be read or is not what the other says.
    """
    path, table = folder / f"{name}.json", folder / f"{name}.parquet"
    told, rows = read_json(path), read_parquet(table)
    again = f"`git checkout {folder}`, or `python -m study.base_runs {name}` takes it anew"
    try:
        about = About.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; {again}") from None
    if about.run != name:
        raise InputError(f"{path} is of run {about.run}; {again}")
    if fault := _fault(about, rows):
        raise InputError(f"{table}: {fault}; {again}")
    return told, rows


def _fault(about: About, rows: pd.DataFrame) -> str:
    """What is wrong with a base run's rows, in words; '' where nothing is."""
    if tuple(rows) != COLUMNS:
        return f"its columns are {', '.join(rows)} instead of {', '.join(COLUMNS)}"
    if not all(is_datetime64_any_dtype(rows[name]) for name in ("date", "known_until")):
        return "date and known_until are to be dates"
    if not np.isfinite(rows["prediction"].to_numpy(float, na_value=np.nan)).all():
        return "a prediction is no finite number"
    days = rows["date"]
    if (len(rows), f"{days.min():%Y-%m-%d}", f"{days.max():%Y-%m-%d}") != (
        about.rows,
        f"{about.first}",
        f"{about.last}",
    ):
        return (
            f"its rows are not the {about.rows}, from {about.first} to {about.last}, that the file beside it tells of"
        )
    return ""


def check_clean(run: BaseRun) -> None:
    """Rule 1: no prediction for a day that its model had seen data of."""
    late = run.rows[~(run.rows["known_until"] < run.rows["date"])]
    if len(late):
        first = late.iloc[0]
        raise InputError(
            f"base run {run.name}: {len(late)} predictions are in-sample, the first of {first['date']:%Y-%m-%d}: its "
            f"model had seen labels up to {first['known_until']:%Y-%m-%d}; use later rows or an earlier model"
        )
    if run.rows["prediction"].isna().any() or run.rows.duplicated(["asset", "date"]).any():
        raise InputError(f"base run {run.name}: rows without a prediction, or two for one day; extract it again")


def check_closed(run: BaseRun) -> None:
    """Rule 2: a prediction on longer bars is dated by the session at whose close its bar was complete.

    Checked against the exchange calendar for weeks, pairs of weeks and months. Bars of n days may begin on any day, so
    that their dates alone cannot tell.
    """
    if run.timescale not in _CALENDAR_BARS:
        return
    dates = pd.DatetimeIndex(run.rows["date"].unique())
    closes = _bar_closes(run.timescale, dates.min(), dates.max())
    early = dates[~dates.isin(closes)]
    if len(early):
        raise InputError(
            f"base run {run.name}: {len(early)} {run.timescale} predictions are dated by a day on which their bar had "
            f"not closed, the first {early[0]:%Y-%m-%d}; date them by the bar's last session"
        )


def _known_until(predictions: pd.DataFrame, calibrated: bool, name: str) -> np.ndarray:
    """Per row the last day that its model had seen: what the table says, or the latest exit in its fold.

    Of validation labels, and calibration labels where the column is calibrated. Training labels exit before validation
    begins, so that they need not be there. Of two answers the later one counts.
    """
    fold = predictions["fold"] if "fold" in predictions else pd.Series(0, index=predictions.index)
    used = ["validation", "calibration"] if calibrated else ["validation"]
    latest = predictions["exit"].where(predictions["split"].isin(used)).groupby(fold).transform("max")
    if "known_until" in predictions:
        latest = latest.where(latest > predictions["known_until"], predictions["known_until"])
    if latest.isna().any():
        raise InputError(
            f"{name}: fold {fold[latest.isna()].iloc[0]} has neither validation rows nor known_until, so that nothing "
            "tells until when its model had seen data; keep them in the predictions"
        )
    return latest.to_numpy()


def _bar_closes(timescale: Timescale, first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    days = sessions(first - pd.Timedelta(days=70), last + pd.Timedelta(days=70))
    anything = pd.DataFrame(1.0, days, ["open", "high", "low", "close", "volume"])
    return pd.DatetimeIndex(resample_ohlcv(anything, get_freq_string(timescale)).index)
