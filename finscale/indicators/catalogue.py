"""The catalogue: every feature as one row, and the tiers that it makes (SPEC 4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from finscale.bars import on_daily_rows, weekly_bars
from finscale.config import FeatureTier
from finscale.errors import InputError
from finscale.indicators import momentum, moving_averages, trend, volatility, volume

Indicator = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Feature:
    """One feature: an indicator, its parameters and the bars it is computed on."""

    name: str
    category: str
    indicator: Indicator
    parameters: Mapping[str, float] = field(default_factory=dict)
    bars: Literal["daily", "weekly"] = "daily"


def _averages() -> list[Feature]:
    simple = dict.fromkeys((12, 50, 100, 200), moving_averages.sma)
    double = dict.fromkeys((9, 10, 20, 25, 90), moving_averages.dema)
    return [
        Feature(f"{function.__name__}_{period}", "moving average", function, {"period": period})
        for period, function in sorted((double | simple).items())
    ]


_RSI = {"period": 14}
_STOCHRSI = {"period": 14, "fast_k": 5, "fast_d": 3}

A20 = (
    *_averages(),
    Feature("rsi_daily", "momentum", momentum.rsi, _RSI),
    Feature("rsi_weekly", "momentum", momentum.rsi, _RSI, "weekly"),
    Feature("stochrsi_daily", "momentum", momentum.stochrsi, _STOCHRSI),
    Feature("stochrsi_weekly", "momentum", momentum.stochrsi, _STOCHRSI, "weekly"),
    Feature("macd_line", "momentum", momentum.macd_line, {"fast": 12, "slow": 26}),
    Feature("obv", "volume", volume.obv),
    Feature("adosc", "volume", volume.adosc, {"fast": 3, "slow": 10}),
    Feature("atr_14", "volatility", volatility.atr, {"period": 14}),
    Feature("adx_14", "trend", trend.adx, {"period": 14}),
    Feature("bb_percent_b", "volatility", volatility.bollinger_percent_b, {"period": 20, "deviations": 2.0}),
    Feature("vwap_20", "volume", volume.vwap, {"period": 20}),
)

TIERS: dict[FeatureTier, tuple[Feature, ...]] = {"a20": A20}


def compute(bars: pd.DataFrame, tier: FeatureTier) -> pd.DataFrame:
    """All features of a tier on one asset's daily bars.

    bars: date-indexed open, high, low, close, volume, ascending. Returns float64 columns in the
    tier's order on the same index, NaN while warming up.
    """
    weekly = weekly_bars(bars)
    columns = {}
    for feature in TIERS[tier]:
        if feature.bars == "daily":
            columns[feature.name] = feature.indicator(bars, **feature.parameters)
        else:
            values = pd.Series(feature.indicator(weekly, **feature.parameters), weekly.index)
            columns[feature.name] = on_daily_rows(values, weekly["known"], pd.DatetimeIndex(bars.index))
    return pd.DataFrame(columns, index=bars.index)


def drop_warmup(features: pd.DataFrame, asset: str) -> pd.DataFrame:
    """Rows from the first day on which every feature has a value; nothing is filled.

    Raises InputError for a feature that is constant or NaN where it should have a value: such a
    column is a broken join or a wrong symbol, never information.
    """
    complete = features.notna().all(axis=1)
    if not complete.any():
        empty = [name for name in features if features[name].isna().all()]
        raise InputError(f"features: {asset} never has a value for {', '.join(empty) or 'all features at once'}")
    usable = features.loc[complete.idxmax() :]
    gaps = [name for name in usable if usable[name].isna().any()]
    if gaps:
        raise InputError(f"features: {asset} has gaps after the warm-up in {', '.join(gaps)}")
    constant = [name for name in usable if usable[name].nunique() == 1]
    if constant:
        raise InputError(f"features: {asset} has constant values in {', '.join(constant)}")
    return usable
