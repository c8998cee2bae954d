"""What tiers a500 to a2000 derive from the table, by a fixed rule that looks at no data (SPEC 4).

    a500    lags and changes of indicators that forget quickly
    a1000   z-scores of the CORE, their squares and cubes, and products of pairs
    a2000   the remaining pairs, ranks of the CORE, and products of one feature with another's past

CORE holds one indicator per idea, in an order fixed here. Pairs (i, j) with i < j come in the order of j, then i, so
that the first pairs are those among the first features; a tier takes as many as its count leaves room for.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice

import numpy as np

from finscale.indicators import transforms
from finscale.indicators.feature import Feature

WINDOW = 60  # bars of the rolling z-scores and ranks
PAST = 5  # bars by which the second factor of a product with the past is late

LAGS = (1, 2, 3, 5)
LAGGED = (
    "return_1", "gap", "body", "range", "close_location", "upper_shadow", "lower_shadow", "volume_ratio_20",
    "true_range_ratio_14", "rsi_7", "williams_r_14", "bb_percent_b", "mfi_14", "volume_change_1",
)  # fmt: skip
CHANGED = (
    "rsi_daily", "adx_14", "natr_14", "bb_width_20_2.0", "volatility_20", "cci_20", "macd_histogram_12_26_9",
    "sma_distance_50", "cmf_20", "obv_change_20", "aroon_oscillator_25", "drawdown_50", "volume_ratio_50",
)  # fmt: skip

CORE = (
    "return_1", "volume_ratio_20", "natr_14", "rsi_daily", "sma_distance_20", "adx_14", "gap", "mfi_14",
    "bb_width_20_2.0", "return_20", "close_location", "macd_histogram_12_26_9", "volatility_ratio_10_50", "cmf_20",
    "sma_spread_20_50", "range", "aroon_oscillator_25", "obv_change_20", "return_5", "true_range_ratio_14",
    "drawdown_50", "stochastic_k_14_3_3", "vwap_distance_50", "volatility_50", "body", "volume_change_1", "trix_15",
    "choppiness_14", "bb_percent_b", "sma_distance_200", "downside_share_20", "efficiency_10",
    "upper_shadow", "plus_di_14", "volume_weighted_return_10", "sar_distance_0.02_0.2", "skewness_60",
    "lower_shadow", "minus_di_14", "pvo_12_26", "rise_100", "price_volume_correlation_20", "balance_of_power_14",
    "return_60", "ultimate_7_14_28", "atr_ratio_5_20",
)  # fmt: skip


def derived(tier: str, known: Mapping[str, Feature], room: int) -> list[Feature]:
    """The derived features of one tier: `room` of them, fewer where the rule has no more.

    known: the features of the table and of lower tiers, by name.
    """
    if tier == "a500":
        return list(islice(_lags_and_changes(known), room))
    if tier == "a1000":
        scaled = [_z_score(known[name]) for name in CORE]
        return list(islice(chain(scaled, _powers(scaled), _products(scaled)), room))
    if tier == "a2000":
        scaled = [known[f"{name}_z"] for name in CORE]
        pairs = (feature for feature in _products(scaled) if feature.name not in known)
        ranks = (_rank(known[name]) for name in CORE)
        return list(islice(chain(pairs, ranks, _products_with_past(scaled)), room))
    return []


def _lags_and_changes(known: Mapping[str, Feature]) -> Iterator[Feature]:
    for name in LAGGED:
        for bars in LAGS:
            about = f"{name}, {bars} bars before"
            yield _of((known[name],), f"{name}_lag{bars}", "lag", about, transforms.lagged, bars)
    for name in CHANGED:
        yield _of((known[name],), f"{name}_change5", "change", f"{name}, change over 5 bars", transforms.change, 5)


def _z_score(of: Feature) -> Feature:
    about = f"{of.name}, z-score over {WINDOW} bars"
    return _of((of,), f"{of.name}_z", "z-score", about, transforms.z_score, WINDOW - 1, (WINDOW,))


def _rank(of: Feature) -> Feature:
    about = f"{of.name}, share of the last {WINDOW} values below it"
    return _of((of,), f"{of.name}_rank", "rank", about, transforms.rank, WINDOW - 1, (WINDOW,))


def _powers(scaled: list[Feature]) -> Iterator[Feature]:
    for z in scaled:
        yield _of((z,), f"{z.name}_squared", "polynomial", f"square of {z.name}", transforms.square)
        yield _of((z,), f"{z.name}_cubed", "polynomial", f"cube of {z.name}", transforms.cube)


def _products(scaled: list[Feature]) -> Iterator[Feature]:
    for late, second in enumerate(scaled):
        for first in scaled[:late]:
            about = f"{first.name} times {second.name}"
            yield _of((first, second), f"{first.name}_x_{second.name}", "interaction", about, transforms.product)


def _products_with_past(scaled: list[Feature]) -> Iterator[Feature]:
    for late, second in enumerate(scaled):
        for first in scaled[: late + 1]:
            yield Feature(
                f"{first.name}_x_{second.name}_lag{PAST}",
                "lagged interaction",
                f"{first.name} times {second.name} {PAST} bars before",
                max(first.warm_up, second.warm_up + PAST),
                transforms.product_with_past,
                (PAST,),
                (first.name, second.name),
            )


def _of(
    inputs: tuple[Feature, ...],
    name: str,
    category: str,
    description: str,
    function: Callable[..., np.ndarray],
    added: int = 0,
    parameters: tuple[int, ...] | None = None,
) -> Feature:
    """A feature of features. added: rows that it needs beyond the slowest of them, also its parameter by default."""
    warm_up = max(feature.warm_up for feature in inputs) + added
    if parameters is None:
        parameters = (added,) if added else ()
    return Feature(name, category, description, warm_up, function, parameters, tuple(f.name for f in inputs))
