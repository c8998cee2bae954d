"""Several runs and features on the rows of one task: the table that the meta-model learns from."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from finscale.config import Timescale
from finscale.data.bars import get_freq_string, on_daily_rows
from finscale.errors import InputError
from finscale.meta.base_runs import BaseRun, check_clean, check_closed

# Calendar days after which a bar's prediction is no longer the newest there should be: its length and some holidays.
_STALE_AFTER: dict[Timescale, int] = {
    "daily": 5, "daily_multi": 5, "2d": 7, "3d": 9, "5d": 14, "weekly": 14, "2week": 28, "monthly": 45,
}  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """rows: date, asset, label, exit, then the inputs. coverage: share of the first run's days that every input has."""

    rows: pd.DataFrame
    names: tuple[str, ...]
    coverage: float


def join(
    labels: pd.DataFrame, runs: list[BaseRun], features: pd.DataFrame, chosen: tuple[str, ...], timescale: Timescale
) -> Inputs:
    """Labelled rows on which every input has a value, each as it was known at the row's close.

    labels: date, asset, label, exit on the bars of `timescale`. A run on the same timescale is joined by day, one on
    another by its newest closed bar. features: date, asset and at least the chosen ones, on the same bars. Raises
    InputError by the rules 1 and 2, for an unknown feature, and where no row has every input.
    """
    if unknown := [name for name in chosen if name not in features]:
        raise InputError(f"params.yaml: meta.features names {', '.join(unknown)}, which this tier and timescale lack")
    rows = labels[["date", "asset", "label", "exit"]].sort_values(["asset", "date"], ignore_index=True)
    for run in runs:
        check_clean(run)
        check_closed(run)
        rows[run.name] = _as_known(rows, run, timescale)
    rows = rows.merge(features[["date", "asset", *chosen]], on=["date", "asset"], how="left", validate="one_to_one")
    names = (*(run.name for run in runs), *chosen)
    whole = rows.dropna(subset=list(names), ignore_index=True)
    if whole.empty:
        raise InputError(
            f"params.yaml: no day has a prediction of every run in meta.runs = {', '.join(names[: len(runs)])}; "
            "choose runs whose out-of-sample days and assets overlap"
        )
    return Inputs(whole.sort_values(["date", "asset"], ignore_index=True), names, _coverage(rows, whole, runs))


def _as_known(rows: pd.DataFrame, run: BaseRun, timescale: Timescale) -> np.ndarray:
    """The run's prediction on each row, NaN where there is none or only one that is stale."""
    values = np.full(len(rows), np.nan)
    same_bars = get_freq_string(run.timescale) == get_freq_string(timescale)
    oldest = pd.Timedelta(days=0 if same_bars else _STALE_AFTER[run.timescale])
    for asset, own in run.rows.sort_values("date").groupby("asset"):
        here = np.flatnonzero(rows["asset"] == asset)
        days, closes = pd.DatetimeIndex(rows["date"].iloc[here]), pd.DatetimeIndex(own["date"])
        if not len(here):
            continue
        newest = pd.Series(on_daily_rows(np.arange(len(own)), closes, days))
        known_on = pd.Series(closes).reindex(newest.fillna(-1).astype(int)).to_numpy()
        fresh = days.to_numpy() - known_on <= oldest.to_timedelta64()  # NaT compares as false
        values[here] = np.where(fresh, on_daily_rows(own["prediction"].to_numpy(), closes, days), np.nan)
    return values


def _coverage(rows: pd.DataFrame, whole: pd.DataFrame, runs: list[BaseRun]) -> float:
    return len(whole) / max(1, int(rows[runs[0].name].notna().sum()))
