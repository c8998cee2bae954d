import numpy as np
import pandas as pd
import pytest
import talib

from finscale.bars import on_daily_rows, weekly_bars
from finscale.errors import InputError
from finscale.indicators import volatility, volume
from finscale.indicators.catalogue import TIERS, compute, drop_warmup

A20 = ["dema_9", "dema_10", "sma_12", "dema_20", "dema_25", "sma_50", "dema_90", "sma_100", "sma_200", "rsi_daily",
       "rsi_weekly", "stochrsi_daily", "stochrsi_weekly", "macd_line", "obv", "adosc", "atr_14", "adx_14",
       "bb_percent_b", "vwap_20"]  # fmt: skip


@pytest.fixture(scope="module")
def features(bars: pd.DataFrame) -> pd.DataFrame:
    return compute(bars, "a20")


def test_a20_holds_the_twenty_features_of_the_specification(features: pd.DataFrame) -> None:
    assert list(features) == A20
    assert [feature.name for feature in TIERS["a20"]] == A20


def test_averages_are_what_their_definition_says(bars: pd.DataFrame, features: pd.DataFrame) -> None:
    close = bars["close"]
    np.testing.assert_allclose(features["sma_50"], close.rolling(50).mean(), rtol=1e-9)
    # An EMA starts from a simple mean; TA-Lib's DEMA does so for both of its averages.
    inner = pd.Series(talib.EMA(close.to_numpy(), 20))
    outer = talib.EMA(inner.dropna().to_numpy(), 20)
    np.testing.assert_allclose(features["dema_20"].to_numpy()[38:], 2 * inner.to_numpy()[38:] - outer[19:], rtol=1e-9)


def test_rolling_vwap_weights_typical_prices_by_volume(bars: pd.DataFrame, features: pd.DataFrame) -> None:
    typical = (bars["high"] + bars["low"] + bars["close"]) / 3
    expected = (typical * bars["volume"]).rolling(20).sum() / bars["volume"].rolling(20).sum()
    np.testing.assert_allclose(features["vwap_20"], expected, rtol=1e-9)


def test_percent_b_is_the_place_between_the_bands(bars: pd.DataFrame, features: pd.DataFrame) -> None:
    mean, deviation = bars["close"].rolling(20).mean(), bars["close"].rolling(20).std(ddof=0)
    expected = (bars["close"] - (mean - 2 * deviation)) / (4 * deviation)
    np.testing.assert_allclose(features["bb_percent_b"], expected, rtol=1e-6)


def test_weekly_indicators_are_those_of_weekly_closes(bars: pd.DataFrame, features: pd.DataFrame) -> None:
    weekly = weekly_bars(bars)
    values = pd.Series(talib.RSI(weekly["close"].to_numpy(), 14), weekly.index)
    carried = on_daily_rows(values, weekly["known"], pd.DatetimeIndex(bars.index))
    np.testing.assert_array_equal(features["rsi_weekly"], carried)
    assert features["rsi_weekly"].loc["2018-06-18":"2018-06-21"].nunique() == 1


def test_flat_prices_and_days_without_volume_have_values() -> None:
    flat = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 10.0) | {"volume": 0.0}, index=range(40))
    assert volatility.bollinger_percent_b(flat, 20, 2.0)[19:].tolist() == [0.5] * 21
    assert volume.vwap(flat, 20)[19:].tolist() == [10.0] * 21


def test_warm_up_rows_are_dropped_and_nothing_is_filled(features: pd.DataFrame) -> None:
    usable = drop_warmup(features, "SP500")
    assert usable.index[0] == features.index[199]  # sma_200 is the slowest
    pd.testing.assert_frame_equal(usable, features.iloc[199:])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.assign(obv=np.nan), "SP500 never has a value for obv"),
        (lambda f: f.assign(obv=1.0), "SP500 has constant values in obv"),
        (lambda f: f.assign(obv=f["obv"].where(np.arange(len(f)) != 4000)), "gaps after the warm-up in obv"),
    ],
)
def test_a_feature_without_information_stops_the_run(spoil: object, message: str, features: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=message):
        drop_warmup(spoil(features), "SP500")  # type: ignore[operator]
