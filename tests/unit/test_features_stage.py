"""The stages resample and features on panels: each asset on its own calendar, nothing filled."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.indicators.catalogue import compute, drop_warmup, features_of
from finscale.indicators.quality import features_of_series, quality_features
from stages.features import Params, features, write_features
from stages.resample import resample
from tests.conftest import known_series, real


@pytest.fixture(scope="module")
def panel(bars: pd.DataFrame) -> pd.DataFrame:
    """A, and B that was listed in the middle of 2005."""
    late = bars.loc["2005-06-15":] * 1.0
    return pd.concat([bars.reset_index().assign(asset="A"), late.reset_index().assign(asset="B")], ignore_index=True)


def no_series(panel: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(index=pd.DatetimeIndex(panel["date"].unique()))


def test_every_asset_has_its_own_matrix_and_missing_years_stay_missing(
    panel: pd.DataFrame, bars: pd.DataFrame, tmp_path: Path
) -> None:
    params = Params(quality="a", tier="a50", timescale="daily")
    told = write_features(tmp_path / "features.parquet", panel, no_series(panel), params)
    table = pd.read_parquet(tmp_path / "features.parquet").set_index("date")
    for asset, own in (("A", bars), ("B", bars.loc["2005-06-15":])):
        alone = drop_warmup(compute(own, "a50"), asset)
        pd.testing.assert_frame_equal(table[table["asset"] == asset].drop(columns="asset"), alone)
        assert told[asset]["first"] == told[asset]["first_per_tier"]["a50"] == f"{alone.index[0]:%Y-%m-%d}"
        assert told[asset]["rows"] == len(alone)
    assert table[table["asset"] == "B"].index[0] > pd.Timestamp("2006-03-01")


def test_features_levels_decides_what_the_stage_writes(bars: pd.DataFrame) -> None:
    params = Params(quality="a", tier="a20", timescale="daily", features={"levels": "relative"})
    found = features(bars, pd.DataFrame(index=bars.index), bars.index[0], params)
    assert list(found) == [feature.name for feature in features_of("a20", levels="relative")]


def test_the_bars_of_a_panel_close_together(panel: pd.DataFrame) -> None:
    two_days = resample(panel, "2d")
    assert list(two_days) == list(panel)
    dates = two_days.groupby("asset")["date"].agg(set)
    assert dates["B"] <= dates["A"]
    assert dates["A"] == set(resample(panel[panel["asset"] == "A"], "2d")["date"])


def test_features_stand_on_the_bars_that_labels_are_made_of(panel: pd.DataFrame) -> None:
    own = panel[panel["asset"] == "B"].drop(columns="asset").set_index("date")
    found = resample(panel, "5d")
    for timescale in ("5d", "weekly", "2week"):
        found = resample(panel, timescale)
        params = Params(quality="a", tier="a20", timescale=timescale)
        table = features(own, no_series(panel), panel["date"].min(), params)
        assert list(table.index) == found.loc[found["asset"] == "B", "date"].tolist()


def test_quality_features_join_the_bars_by_the_session_at_which_both_were_known() -> None:
    series, daily = known_series(), real("SPY").loc["2003":"2010-12-31"]
    for timescale in ("daily", "weekly"):
        found = features(daily, series, daily.index[0], Params(quality="d", tier="a20", timescale=timescale))
        extra = quality_features(series, "d")
        assert list(found)[20:] == [feature.name for feature in features_of_series([], "d")]
        usable = drop_warmup(found, "SPY")
        pd.testing.assert_frame_equal(usable.iloc[:, 20:], extra.loc[usable.index])


def test_the_rates_of_a_universe_join_every_asset_and_its_end_ends_the_rows(bars: pd.DataFrame) -> None:
    rates = pd.DataFrame(1.0, bars.index, ["dgs2", "dgs10", "dff", "rate_3m"])
    rates.loc["2018-07-02":, "rate_3m"] = float("nan")
    found = features(bars, rates, bars.index[0], Params(quality="a", tier="a20", timescale="daily"))
    assert list(found)[20:] == list(rates)
    moving = found["sma_50"]  # a constant rate would be refused
    varied = found.assign(**{name: found[name] * moving for name in rates})
    assert drop_warmup(varied, "X").index[-1] == pd.Timestamp("2018-06-29")


def test_qualities_can_be_compared_on_the_days_of_the_one_with_most(bars: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    series = pd.DataFrame({"sentiment": rng.normal(size=len(bars)), "vix": rng.uniform(10, 30, len(bars))}, bars.index)
    series.loc[:"2003-12-31", "vix"] = np.nan
    series.loc["2017-01-03":, "sentiment"] = np.nan
    days = {}
    for quality, days_of in (("a", None), ("a", "c"), ("b", "c"), ("c", "c"), ("c", None)):
        params = Params(quality=quality, tier="a20", timescale="daily", features={"days_of": days_of})
        found = features(bars, series, bars.index[0], params)
        assert len(found.columns) == 20 + len(features_of_series([], quality))
        days[quality, days_of] = drop_warmup(found, "X").index
    assert days["a", "c"].equals(days["b", "c"])
    assert days["a", "c"].equals(days["c", "c"])
    assert days["c", "c"].equals(days["c", None])
    assert len(days["a", None]) > len(days["a", "c"])
    assert days["a", "c"][-1] == pd.Timestamp("2016-12-30")


def test_a_series_that_is_absent_is_named(bars: pd.DataFrame) -> None:
    params = Params(quality="c", tier="a20", timescale="daily")
    with pytest.raises(InputError, match="quality = c needs the series"):
        features(bars, bars[[]], bars.index[0], params)
