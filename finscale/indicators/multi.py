"""daily_multi: weekly and monthly indicators that daily rows get on top of their tier (SPEC 3).

A daily row sees a week or month only once it has closed. Monthly periods stay within twelve months, so that the
extra features cost no more history than the slowest daily ones.
"""

from functools import partial

import talib

from finscale.indicators import momentum, moving_averages, price, trend, volatility, volume
from finscale.indicators.feature import BarsKind, Feature

_sma_distance = partial(moving_averages.distance, talib.SMA)


def _on(bars: BarsKind, *rows: tuple) -> tuple[Feature, ...]:
    """Rows of name, category, description, warm-up, function, parameters; the name gets the bars' name."""
    return tuple(
        Feature(f"{name}_{bars}", category, f"{about}, {bars} bars", warm_up, function, parameters, bars=bars)
        for name, category, about, warm_up, function, parameters in rows
    )


MULTI = (
    *_on(
        "weekly",
        ("return_1", "price", "return over 1 bar", 1, price.simple_return, (1,)),
        ("return_4", "price", "return over 4 bars", 4, price.simple_return, (4,)),
        ("return_13", "price", "return over 13 bars", 13, price.simple_return, (13,)),
        ("drawdown_26", "price", "close over the highest of 26 closes, minus 1", 25, price.drawdown, (26,)),
        ("sma_distance_10", "moving average", "close minus SMA 10 over the close", 9, _sma_distance, (10,)),
        ("sma_distance_40", "moving average", "close minus SMA 40 over the close", 39, _sma_distance, (40,)),
        ("ppo_12_26", "momentum", "EMA 12 minus EMA 26 over the latter", 25, momentum.ppo, (12, 26)),
        ("williams_r_14", "momentum", "Williams %R, 14 bars", 13, momentum.williams_r, (14,)),
        ("natr_14", "volatility", "ATR 14 over the close, percent", 14, volatility.natr, (14,)),
        ("volatility_13", "volatility", "standard deviation of 13 log returns", 13, volatility.historical, (13,)),
        ("bb_percent_b_20", "volatility", "place in bands of 20/2", 19, volatility.bollinger_percent_b, (20, 2.0)),
        ("volume_ratio_13", "volume", "volume over its mean, 13 bars", 12, volume.volume_ratio, (13,)),
        ("mfi_14", "volume", "money flow index, 14 bars", 14, volume.mfi, (14,)),
        ("adx_14", "trend", "average directional index, 14 bars", 27, trend.adx, (14,)),
        ("aroon_oscillator_25", "trend", "Aroon up minus down, 25 bars", 25, trend.aroon_oscillator, (25,)),
    ),
    *_on(
        "monthly",
        ("return_1", "price", "return over 1 bar", 1, price.simple_return, (1,)),
        ("return_3", "price", "return over 3 bars", 3, price.simple_return, (3,)),
        ("return_6", "price", "return over 6 bars", 6, price.simple_return, (6,)),
        ("return_11", "price", "return over 11 bars", 11, price.simple_return, (11,)),
        ("drawdown_12", "price", "close over the highest of 12 closes, minus 1", 11, price.drawdown, (12,)),
        ("sma_distance_6", "moving average", "close minus SMA 6 over the close", 5, _sma_distance, (6,)),
        ("sma_distance_10", "moving average", "close minus SMA 10 over the close", 9, _sma_distance, (10,)),
        ("rsi_6", "momentum", "relative strength index, 6 bars", 6, momentum.rsi, (6,)),
        ("williams_r_12", "momentum", "Williams %R, 12 bars", 11, momentum.williams_r, (12,)),
        ("natr_6", "volatility", "ATR 6 over the close, percent", 6, volatility.natr, (6,)),
        ("volatility_11", "volatility", "standard deviation of 11 log returns", 11, volatility.historical, (11,)),
        ("volume_ratio_6", "volume", "volume over its mean, 6 bars", 5, volume.volume_ratio, (6,)),
        ("cmf_6", "volume", "Chaikin money flow, 6 bars", 5, volume.cmf, (6,)),
        ("adx_5", "trend", "average directional index, 5 bars", 9, trend.adx, (5,)),
        ("aroon_oscillator_11", "trend", "Aroon up minus down, 11 bars", 11, trend.aroon_oscillator, (11,)),
    ),
)
