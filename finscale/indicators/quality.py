"""Features of series that are no prices: the data quality tiers, and a universe's interest rates (SPEC 2 and 4).

    b   sentiment     c   + VIX     d   + search interest     `series` of a universe: rates

They are computed on daily values, each of which was known at that session's close: publication lags are
applied where the series are made. A bar of a longer timescale shows the value of the session at which it was known.
"""

from collections.abc import Callable, Collection

import numpy as np
import pandas as pd
import talib

from finscale.config import Quality
from finscale.errors import InputError
from finscale.indicators.arrays import lag, ratio, rolling_rank
from finscale.indicators.feature import Feature
from finscale.indicators.transforms import change, z_score

SERIES: dict[Quality, tuple[str, ...]] = {
    "a": (),
    "b": ("sentiment",),
    "c": ("sentiment", "vix"),
    "d": ("sentiment", "vix", "search_interest"),
}


def level(values: np.ndarray) -> np.ndarray:
    return values


def above_mean(values: np.ndarray, window: int) -> np.ndarray:
    """1 above the mean of the last `window` values, else 0."""
    mean = talib.SMA(values, window)
    return np.where(np.isnan(mean), np.nan, values > mean)


def symmetric_change(values: np.ndarray, bars: int) -> np.ndarray:
    """Change over the sum of absolute values, -1 to 1 (0 between zeros): the ROC of an index that crosses zero."""
    before = lag(values, bars)
    return ratio(values - before, np.abs(values) + np.abs(before), otherwise=0.0)


def vix_regime(values: np.ndarray) -> np.ndarray:
    """0 below 15 (low), 1 from 15 to 25 (normal), 2 above 25 (high)."""
    return np.where(np.isnan(values), np.nan, (values >= 15).astype(float) + (values > 25))


def against_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Value over the mean of the `window` values before, minus 1 (Preis et al. 2013); 0 without searches."""
    mean = lag(talib.SMA(values, window), 1)
    return ratio(values - mean, mean, otherwise=0.0)


_Row = tuple[str, str, int, Callable[..., np.ndarray], tuple[int, ...]]


def _rows(category: str, *rows: _Row) -> tuple[Feature, ...]:
    return tuple(
        Feature(name, category, about, warm_up, function, parameters)
        for name, about, warm_up, function, parameters in rows
    )


FEATURES: dict[str, tuple[Feature, ...]] = {
    "sentiment": _rows(
        "sentiment",
        ("sentiment_momentum_5", "sentiment, change over 5 days", 5, change, (5,)),
        ("sentiment_momentum_20", "sentiment, change over 20 days", 20, change, (20,)),
        ("sentiment_sma_10", "sentiment, mean of 10 days", 9, talib.SMA, (10,)),
        ("sentiment_sma_50", "sentiment, mean of 50 days", 49, talib.SMA, (50,)),
        ("sentiment_regime", "1 where sentiment is above its 200-day mean", 199, above_mean, (200,)),
        ("sentiment_roc_10", "sentiment, relative change over 10 days", 10, symmetric_change, (10,)),
    ),
    "vix": _rows(
        "VIX",
        ("vix", "VIX, close", 0, level, ()),
        ("vix_sma_10", "VIX, mean of 10 days", 9, talib.SMA, (10,)),
        ("vix_sma_20", "VIX, mean of 20 days", 19, talib.SMA, (20,)),
        ("vix_percentile_60", "VIX, rank in the last 60 days", 59, rolling_rank, (60,)),
        ("vix_z_20", "VIX, z-score over 20 days", 19, z_score, (20,)),
        ("vix_regime", "VIX: 0 below 15, 1 to 25, 2 above", 0, vix_regime, ()),
        ("vix_change_1", "VIX, change over 1 day", 1, change, (1,)),
        ("vix_change_5", "VIX, change over 5 days", 5, change, (5,)),
    ),
    "search_interest": _rows(
        "search trends",
        ("search_momentum_5", "search interest, relative change over 5 days", 5, symmetric_change, (5,)),
        ("search_momentum_20", "search interest, relative change over 20 days", 20, symmetric_change, (20,)),
        ("search_against_mean_15", "search interest over its mean of 15 days before, minus 1", 15, against_mean, (15,)),
        ("search_against_mean_60", "search interest over its mean of 60 days before, minus 1", 60, against_mean, (60,)),
    ),
}


ECONOMIC = tuple(
    Feature(name, "economic", about, 0, level)
    for name, about in (
        ("dgs2", "2-year treasury yield, percent"),
        ("dgs10", "10-year treasury yield, percent"),
        ("dff", "effective federal funds rate, percent"),
        ("rate_3m", "3-month USD LIBOR, continued by SOFR, percent"),
    )
)


def features_of_series(columns: Collection[str], quality: Quality) -> tuple[Feature, ...]:
    """What series add to the features of every asset. columns: those of the series, or of the features."""
    added = tuple(feature for name in SERIES[quality] for feature in FEATURES[name])
    return added + tuple(feature for feature in ECONOMIC if feature.name in columns)


def economic_features(series: pd.DataFrame) -> pd.DataFrame:
    """The interest rates that the universe has, as they are."""
    return series[[feature.name for feature in ECONOMIC if feature.name in series]].astype(float)


def quality_features(series: pd.DataFrame, quality: Quality) -> pd.DataFrame:
    """The features of a quality tier.

    series: date-indexed, one row per session; columns among sentiment, vix, search_interest. Returns float64
    columns on the same dates, NaN before a series starts and while warming up; quality a has none.
    Raises InputError where a series is absent, or has gaps once it has started.
    """
    columns: dict[str, np.ndarray] = {}
    for name in SERIES[quality]:
        if name not in series:
            raise InputError(f"quality = {quality} needs the series {name}; there are {', '.join(series) or 'none'}")
        values = np.ascontiguousarray(series[name], dtype=float)
        # The dates on which the series exists: from its first value to its last.
        present = np.flatnonzero(~np.isnan(values))
        own = slice(present[0], present[-1] + 1) if len(present) else slice(0, 0)
        if len(present) != own.stop - own.start:
            missing = series.index[own][np.isnan(values[own])][0]
            raise InputError(
                f"quality = {quality}: the series {name} has no value on {missing:%Y-%m-%d}; see its source"
            )
        for feature in FEATURES[name]:
            columns[feature.name] = np.full(len(values), np.nan)
            columns[feature.name][own] = feature.function(values[own], *feature.parameters)
    return pd.DataFrame(columns, index=series.index)
