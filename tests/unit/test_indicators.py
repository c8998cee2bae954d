"""Features: values by their definitions, exact nested tiers, warm-up as told, no price level beyond a20."""

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from finscale.calendar import sessions
from finscale.config import FeatureTier, Timescale
from finscale.data.bars import on_daily_rows, resample_ohlcv
from finscale.errors import InputError
from finscale.indicators import volatility, volume
from finscale.indicators.arrays import Bars
from finscale.indicators.catalogue import CATALOGUES, COUNTS, compute, drop_warmup, features_of, first_usable
from finscale.indicators.config import Levels
from finscale.indicators.quality import SERIES, quality_features
from tests.conftest import known_series, real

A20 = ["dema_9", "dema_10", "sma_12", "dema_20", "dema_25", "sma_50", "dema_90", "sma_100", "sma_200", "rsi_daily",
       "rsi_weekly", "stochrsi_daily", "stochrsi_weekly", "macd_line", "obv", "adosc", "atr_14", "adx_14",
       "bb_percent_b", "vwap_20"]  # fmt: skip


@pytest.fixture(scope="module")
def features(bars: pd.DataFrame) -> pd.DataFrame:
    return compute(bars, "a20")


def test_a20_holds_the_twenty_features_of_the_specification(features: pd.DataFrame) -> None:
    assert list(features) == A20
    assert [feature.name for feature in features_of("a20")] == A20


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
    weekly = resample_ohlcv(bars, "W-FRI")
    values = talib.RSI(weekly["close"].to_numpy(), 14)
    carried = on_daily_rows(values, pd.DatetimeIndex(weekly.index), pd.DatetimeIndex(bars.index))
    np.testing.assert_array_equal(features["rsi_weekly"], carried)
    assert features["rsi_weekly"].loc["2018-06-18":"2018-06-21"].nunique() == 1


def test_flat_prices_and_days_without_volume_have_values() -> None:
    flat = Bars(*[np.full(40, 10.0)] * 4, np.zeros(40))
    assert volatility.bollinger_percent_b(flat, 20, 2.0)[19:].tolist() == [0.5] * 21
    assert volume.vwap(flat, 20)[19:].tolist() == [10.0] * 21


@pytest.mark.parametrize("levels", ["as_is", "relative"])
@pytest.mark.parametrize(("tier", "count"), [(f"a{n}", n) for n in (20, 50, 100, 200, 500, 1000, 2000)])
def test_a_tier_has_its_exact_count_and_holds_the_tier_below(tier: FeatureTier, count: int, levels: Levels) -> None:
    names = [feature.name for feature in features_of(tier, levels=levels)]
    assert COUNTS[tier] == len(names) == len(set(names)) == count
    assert features_of(tier, levels=levels) == CATALOGUES[levels][:count]
    assert not set(names) & {"open", "high", "low", "close", "volume"}


def test_every_feature_is_described_and_has_a_category() -> None:
    for feature in (*features_of("a2000", "daily_multi"), *features_of("a2000", levels="relative")):
        assert feature.description
        assert feature.category
        assert "{" not in feature.name + feature.description


CATALOGUE = CATALOGUES["as_is"]


@pytest.fixture(scope="module", params=["SPY", "NVDA"])
def stock(request: pytest.FixtureRequest) -> pd.DataFrame:
    return compute(real(request.param), "a2000")


@pytest.fixture(scope="module")
def relative(bars: pd.DataFrame) -> pd.DataFrame:
    return compute(bars, "a2000", levels="relative")


def test_without_levels_no_feature_knows_the_price_or_the_size_of_an_average_day_s_volume(
    relative: pd.DataFrame, bars: pd.DataFrame
) -> None:
    scaled = bars.assign(
        **{name: bars[name] * 8 for name in ("open", "high", "low", "close")}, volume=bars["volume"] * 64
    )
    other = compute(scaled, "a2000", levels="relative")
    np.testing.assert_allclose(other, relative, rtol=1e-6, atol=1e-6)
    levels = compute(scaled, "a20")
    moved = [name for name in levels if not np.allclose(levels[name], compute(bars, "a20")[name], equal_nan=True)]
    assert moved == [name for name in A20 if name not in relative]


def test_without_levels_features_are_finite_distinct_and_warm_up_as_told(relative: pd.DataFrame) -> None:
    catalogue = CATALOGUES["relative"]
    first = relative.notna().to_numpy().argmax(axis=0)
    assert {f.name: first[p] for p, f in enumerate(catalogue) if f.bars in ("own", "daily")} == {
        f.name: f.warm_up for f in catalogue if f.bars in ("own", "daily")
    }
    usable = relative.iloc[260:].to_numpy()
    assert np.isfinite(usable).all()
    pairs = np.argwhere(np.triu(np.abs(np.corrcoef(usable, rowvar=False)), 1) > 0.9999)
    assert [(catalogue[i].name, catalogue[j].name) for i, j in pairs] == []


def test_without_levels_a_tier_has_the_table_s_features_of_the_plain_one() -> None:
    plain, relative = ({f.name for f in features_of("a200", levels=levels)} for levels in ("as_is", "relative"))
    assert plain - relative == {name for name in A20 if name not in relative}
    assert len(relative - plain) == 14  # four scale-free forms that no tier has, and ten features of the next tier


def test_without_levels_no_feature_needs_the_future(relative: pd.DataFrame, bars: pd.DataFrame) -> None:
    for last in ("2012-10-26", "2018-12-04"):
        known = compute(bars.loc[:last], "a2000", levels="relative")
        pd.testing.assert_frame_equal(known, relative.loc[:last], check_exact=True)


def test_the_first_value_stands_where_the_catalogue_says(stock: pd.DataFrame) -> None:
    first = stock.notna().to_numpy().argmax(axis=0)
    own = [position for position, feature in enumerate(CATALOGUE) if feature.bars in ("own", "daily")]
    assert {CATALOGUE[p].name: first[p] for p in own} == {CATALOGUE[p].name: CATALOGUE[p].warm_up for p in own}
    assert first.max() <= 260  # one year of trading, weekly indicators included


def test_no_feature_is_constant_or_empty_and_none_repeats_another(stock: pd.DataFrame) -> None:
    usable = stock.iloc[260:].to_numpy()
    assert np.isfinite(usable).all()
    assert (usable.std(axis=0) > 0).all()
    correlation = np.abs(np.corrcoef(usable, rowvar=False))
    pairs = np.argwhere(np.triu(correlation, 1) > 0.9999)
    # The averages of a20 are price levels, alike by the specification's own choice.
    repeated = [(CATALOGUE[i].name, CATALOGUE[j].name) for i, j in pairs if j >= COUNTS["a20"]]
    assert repeated == []


def test_features_beyond_a20_do_not_know_the_price_level(bars: pd.DataFrame) -> None:
    prices = ["open", "high", "low", "close"]
    dearer = compute(bars.loc["2015":].assign(**{name: bars[name] * 8 for name in prices}), "a2000").iloc[:, 20:]
    np.testing.assert_allclose(dearer, compute(bars.loc["2015":], "a2000").iloc[:, 20:], rtol=1e-6, atol=1e-6)


def test_daily_multi_adds_weekly_and_monthly_indicators_of_closed_bars(bars: pd.DataFrame) -> None:
    multi, plain = compute(bars, "a50", "daily_multi"), compute(bars, "a50")
    pd.testing.assert_frame_equal(multi[list(plain)], plain)
    months = resample_ohlcv(bars, "ME")["close"]
    assert multi["return_1_monthly"]["2018-06-29"] == months["2018-06-29"] / months["2018-05-31"] - 1
    assert multi["return_1_monthly"]["2018-06-28"] == months["2018-05-31"] / months["2018-04-30"] - 1
    assert multi.shape[1] == len(features_of("a50", "daily_multi")) == 80
    assert drop_warmup(multi, "SP500").index[0] < pd.Timestamp("2000-03-01")


def test_indicators_of_longer_bars_keep_the_daily_and_weekly_ones(bars: pd.DataFrame, features: pd.DataFrame) -> None:
    monthly = compute(bars, "a20", "monthly")
    closes = resample_ohlcv(bars, "ME")["close"]
    np.testing.assert_allclose(monthly["sma_12"], closes.rolling(12).mean(), rtol=1e-9)
    for name in ("rsi_daily", "rsi_weekly", "stochrsi_weekly"):
        pd.testing.assert_series_equal(monthly[name], features[name].loc[monthly.index])


def test_the_first_usable_day_is_told_per_tier(features: pd.DataFrame, bars: pd.DataFrame) -> None:
    assert first_usable(features, "a20") == {"a20": str(bars.index[199])[:10]}
    found = first_usable(compute(bars, "a2000"), "a2000")
    assert list(found) == list(COUNTS)
    assert found["a2000"] == str(bars.index[258])[:10]


def test_quality_features_follow_their_definitions() -> None:
    series = known_series()
    found = quality_features(series, "d")
    assert list(SERIES) == ["a", "b", "c", "d"]
    assert quality_features(series, "a").shape == (len(series), 0)
    assert list(quality_features(series, "b")) == list(found)[:6]
    vix, sentiment = series["vix"], series["sentiment"]
    np.testing.assert_allclose(found["vix_z_20"], (vix - vix.rolling(20).mean()) / vix.rolling(20).std(ddof=0))
    np.testing.assert_allclose(found["vix_percentile_60"], (vix.rolling(60).rank() - 1) / 59)
    assert found["vix_regime"].groupby(pd.cut(vix, [0, 14.999, 25, 100])).unique().explode().tolist() == [0.0, 1.0, 2.0]
    np.testing.assert_allclose(found["sentiment_momentum_5"], sentiment.diff(5))
    regime = (sentiment > sentiment.rolling(200).mean()).astype(float)
    pd.testing.assert_series_equal(found["sentiment_regime"].iloc[199:], regime.iloc[199:], check_names=False)
    assert found["sentiment_regime"].iloc[:199].isna().all()
    assert np.isfinite(found.iloc[200:].to_numpy()).all()


def test_a_series_that_is_absent_or_broken_stops_the_run() -> None:
    series = known_series()
    with pytest.raises(InputError, match="quality = c needs the series vix; there are sentiment"):
        quality_features(series[["sentiment"]], "c")
    with pytest.raises(InputError, match="the series vix has no value on 2005-06-15"):
        quality_features(series.assign(vix=series["vix"].where(series.index != "2005-06-15")), "c")


@st.composite
def awkward_bars(draw: st.DrawFn) -> pd.DataFrame:
    """Daily bars that a market can produce, if rarely: jumps, flat runs, no volume, prices of millionths."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    length = draw(st.integers(1, 420))
    moves = random.normal(0, draw(st.sampled_from([0.0, 1e-9, 0.01, 0.3])), length)
    jumps = random.random(length) < draw(st.sampled_from([0.0, 0.02]))
    moves[jumps] += np.log(draw(st.sampled_from([1e-3, 0.5, 2.0, 1e3]))) * random.choice([-1, 1], jumps.sum())
    flat = draw(st.integers(0, length)), draw(st.integers(0, 300))
    moves[flat[0] : sum(flat)] = 0.0
    close = draw(st.sampled_from([1e-6, 0.01, 100.0, 1e5])) * np.exp(np.clip(np.cumsum(moves), -12, 12))
    wick = 1 + draw(st.sampled_from([0.0, 1e-12, 0.02])) * random.random((2, length))
    opened = np.where(random.random(length) < 0.5, close, np.append(close[:1], close[:-1]))
    traded = random.integers(0, draw(st.sampled_from([1, 2, 10**10])), length).astype(float)
    days = sessions(pd.Timestamp("2001-01-02"), pd.Timestamp("2003-12-31"))[:length]
    return pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * wick[0],
            "low": np.minimum(opened, close) / wick[1],
            "close": close,
            "volume": traded,
        },
        index=days.rename("date"),
    )


@settings(max_examples=40, deadline=None)
@given(awkward_bars(), st.sampled_from(["daily", "3d", "weekly", "monthly", "daily_multi"]))
def test_awkward_bars_have_finite_values_once_warmed_up(awkward: pd.DataFrame, timescale: Timescale) -> None:
    values = compute(awkward, "a2000", timescale).to_numpy()
    assert not np.isinf(values).any()
    present = ~np.isnan(values)
    assert (np.maximum.accumulate(present, axis=0) == present).all()  # no gap once a feature has begun
    known = compute(awkward.iloc[: len(awkward) // 2 + 1], "a2000", timescale).to_numpy()
    np.testing.assert_array_equal(known, values[: len(known)])  # and none that needs the other half


def test_warm_up_rows_are_dropped_and_nothing_is_filled(features: pd.DataFrame) -> None:
    usable = drop_warmup(features, "SP500")
    assert usable.index[0] == features.index[199]  # sma_200 is the slowest
    pd.testing.assert_frame_equal(usable, features.iloc[199:])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.assign(obv=np.nan), "SP500 never has a value for obv"),
        (lambda f: f.assign(obv=1.0), "SP500 has constant values in obv"),
        (
            lambda f: f.assign(obv=f["obv"].where(np.arange(len(f)) != 4000)),
            "gaps between its first and last value in obv",
        ),
    ],
)
def test_a_feature_without_information_stops_the_run(spoil: object, message: str, features: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=message):
        drop_warmup(spoil(features), "SP500")  # type: ignore[operator]
