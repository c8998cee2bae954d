"""The catalogue: every feature of every tier, and their computation on one asset's bars (SPEC 4).

a20 is the list of the specification; the table adds indicators tier by tier, and the higher tiers derive lags,
polynomials and interactions. Tiers are nested: each begins with the one below.

Fourteen of a20 are levels, in units of price or volume: what they say of a day depends on the year and the share.
With `features.levels: relative` their scale-free forms stand in their place, under names that say so. Half of these the
table has in higher tiers; there the next features of the table follow, so that counts hold and nothing is repeated.
"""

from collections.abc import Iterator
from typing import get_args

import numpy as np
import pandas as pd

from finscale.config import FeatureTier, Timescale
from finscale.data.bars import get_freq_string, on_daily_rows, resample_ohlcv
from finscale.errors import InputError
from finscale.indicators import momentum, moving_averages, trend, volatility, volume
from finscale.indicators.arrays import Bars
from finscale.indicators.combinations import derived
from finscale.indicators.config import Levels
from finscale.indicators.feature import BarsKind, Feature, Period
from finscale.indicators.multi import MULTI
from finscale.indicators.table import TABLE


class NoUsableRowError(InputError):
    """There is no day on which every feature has a value."""


COUNTS: dict[FeatureTier, int] = {
    "a20": 20, "a50": 50, "a100": 100, "a200": 200, "a500": 500, "a1000": 1000, "a2000": 2000,
}  # fmt: skip


def _averages() -> Iterator[Feature]:
    simple = dict.fromkeys((12, 50, 100, 200), (moving_averages.sma, "simple", 1))
    double = dict.fromkeys((9, 10, 20, 25, 90), (moving_averages.dema, "double exponential", 2))
    for period, (function, kind, passes) in sorted((double | simple).items()):
        about = f"{kind} moving average of {period} closes"
        name = f"{function.__name__}_{period}"
        yield Feature(name, "moving average", about, passes * (period - 1), function, (period,))


_ADOSC = "fast minus slow EMA of the accumulation/distribution line"

A20 = (
    *_averages(),
    Feature("rsi_daily", "momentum", "RSI of 14 days", 14, momentum.rsi, (14,), bars="daily"),
    Feature("rsi_weekly", "momentum", "RSI of 14 weeks", 14, momentum.rsi, (14,), bars="weekly"),
    Feature("stochrsi_daily", "momentum", "%K 5/3 of daily RSI", 20, momentum.stochrsi, (14, 5, 3), bars="daily"),
    Feature("stochrsi_weekly", "momentum", "%K 5/3 of weekly RSI", 20, momentum.stochrsi, (14, 5, 3), bars="weekly"),
    Feature("macd_line", "momentum", "EMA 12 minus EMA 26 of the close", 33, momentum.macd_line, (12, 26)),
    Feature("obv", "volume", "volume summed with the sign of the close's change", 0, volume.obv),
    Feature("adosc", "volume", _ADOSC, 9, volume.adosc, (3, 10)),
    Feature("atr_14", "volatility", "average true range of 14 bars", 14, volatility.atr, (14,)),
    Feature("adx_14", "trend", "average directional index of 14 bars", 27, trend.adx, (14,)),
    Feature("bb_percent_b", "volatility", "place in bands of 20/2", 19, volatility.bollinger_percent_b, (20, 2.0)),
    Feature("vwap_20", "volume", "volume-weighted typical price of 20 bars", 19, volume.vwap, (20,)),
)


# Level of a20: its scale-free form, as family, template of the table's row, and periods.
_RELATIVE: dict[str, tuple[str, str, Period]] = {
    **{f"dema_{n}": ("moving average", "dema_distance_{}", n) for n in (9, 10, 20, 25, 90)},
    **{f"sma_{n}": ("moving average", "sma_distance_{}", n) for n in (12, 50, 100, 200)},
    "macd_line": ("momentum", "ppo_{}_{}", (12, 26)),
    "obv": ("volume", "obv_change_{}", 20),
    "adosc": ("volume", "adosc_ratio_{}_{}", (3, 10)),
    "atr_14": ("volatility", "natr_{}", 14),
    "vwap_20": ("volume", "vwap_distance_{}", 20),
}


def _scale_free(feature: Feature) -> Feature:
    if feature.name not in _RELATIVE:
        return feature
    family, template, periods = _RELATIVE[feature.name]
    return next(row for row in TABLE[family] if row.name == template).feature(periods, family)


def _catalogue(levels: Levels) -> tuple[Feature, ...]:
    features = {feature.name: feature for feature in (A20 if levels == "as_is" else map(_scale_free, A20))}
    for tier, count in COUNTS.items():
        own = [f for category, rows in TABLE.items() for row in rows for f in row.features(tier, category)]
        features |= {feature.name: feature for feature in own}
        features |= {feature.name: feature for feature in derived(tier, features, count - len(features))}
        # Without levels a tier lacks what it has among its first twenty already: the next one's features follow.
        if len(features) != count and (levels == "as_is" or count == max(COUNTS.values())):
            raise ValueError(f"the catalogue makes {len(features)} features up to {tier}, not {count}")
    return tuple(features.values())


CATALOGUES: dict[Levels, tuple[Feature, ...]] = {levels: _catalogue(levels) for levels in get_args(Levels)}


def features_of(tier: FeatureTier, timescale: Timescale = "daily", levels: Levels = "as_is") -> tuple[Feature, ...]:
    """The features of a tier; daily_multi has weekly and monthly indicators on top."""
    return CATALOGUES[levels][: COUNTS[tier]] + (MULTI if timescale == "daily_multi" else ())


def compute(
    daily: pd.DataFrame, tier: FeatureTier, timescale: Timescale = "daily", start: pd.Timestamp | None = None,
    levels: Levels = "as_is",
) -> pd.DataFrame:  # fmt: skip
    """All features of a tier on one asset.

    daily: date-indexed open, high, low, close, volume, one row per session, ascending. Returns float64 columns in the
    tier's order, one row per bar of the timescale, indexed by the session at whose close the bar was known;
    NaN while warming up. start: where blocks of sessions are counted from (resample_ohlcv). Features of
    other bars than the timescale's show the newest bar known by then.
    """
    features = features_of(tier, timescale, levels)
    kinds: set[BarsKind] = {"own", *(feature.bars for feature in features)}
    frames = {kind: _resample(daily, timescale, kind, start) for kind in kinds}
    bars = {kind: Bars.of(frame) for kind, frame in frames.items()}
    index = {kind: pd.DatetimeIndex(frame.index) for kind, frame in frames.items()}
    matrix = np.empty((len(index["own"]), len(features)), order="F")  # one feature after the other
    values: dict[str, np.ndarray] = {}
    for column, feature in enumerate(features):
        if feature.inputs:
            result = feature.function(*(values[name] for name in feature.inputs), *feature.parameters)
        else:
            result = feature.function(bars[feature.bars], *feature.parameters)
        if feature.bars != "own":
            result = on_daily_rows(result, index[feature.bars], index["own"])
        matrix[:, column] = result
        values[feature.name] = matrix[:, column]
    return pd.DataFrame(matrix, index=frames["own"].index, columns=list(values), copy=False)


def _resample(daily: pd.DataFrame, timescale: Timescale, kind: BarsKind, start: pd.Timestamp | None) -> pd.DataFrame:
    freq = {"own": get_freq_string(timescale), "daily": "D", "weekly": "W-FRI", "monthly": "ME"}[kind]
    return resample_ohlcv(daily, freq, start)


def first_usable(features: pd.DataFrame, tier: FeatureTier) -> dict[str, str]:
    """For `tier` and those below it: the first day on which all its features have a value."""
    counts = {name: count for name, count in COUNTS.items() if count <= COUNTS[tier]}
    usable = {name: features.iloc[:, :count].notna().all(axis=1) for name, count in counts.items()}
    return {name: f"{rows.idxmax():%Y-%m-%d}" for name, rows in usable.items() if rows.any()}


def drop_warmup(features: pd.DataFrame, asset: str) -> pd.DataFrame:
    """Rows from the first day on which every feature has a value to the last; nothing is filled.

    The last is earlier than the last bar where a series that is no price has ended. Raises InputError for a
    feature that is constant or NaN in between: such a column is a broken join or a wrong symbol, never
    information.
    """
    complete = features.notna().all(axis=1)
    if not complete.any():
        empty = [name for name in features if features[name].isna().all()]
        shown = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
        raise NoUsableRowError(
            f"features: {asset} never has a value for {shown or 'all features at once'} in {len(features)} bars; "
            "use a longer series, a lower tier or a shorter timescale"
        )
    usable = features.loc[complete.idxmax() : complete[::-1].idxmax()]
    values = usable.to_numpy()
    gaps, constant = np.isnan(values).any(axis=0), (values == values[0]).all(axis=0)
    for problem, found in (("gaps between its first and last value", gaps), ("constant values", constant)):
        if found.any():
            raise InputError(f"features: {asset} has {problem} in {', '.join(usable.columns[found])}")
    return usable
