"""The feature page: counts that add up, drift outside the training range, and training rows alone."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.data.config import SplitDates
from finscale.errors import InputError
from finscale.indicators.catalogue import compute, drop_warmup, features_of
from finscale.pages.data_figures import plot_correlation, plot_drift
from finscale.pages.features import drift, family_table, page, training_sample
from tests.conftest import ENDS


@pytest.fixture(scope="module")
def table(bars: pd.DataFrame) -> pd.DataFrame:
    return drop_warmup(compute(bars, "a50"), "SP500").reset_index().assign(asset="SP500")


def test_families_add_up_to_the_tiers() -> None:
    *families, everything = family_table("a200", features_of("a200", "daily_multi"))
    assert everything == {"family": "all", "a20": 20, "a50": 50, "a100": 100, "a200": 200, "on top": 30}
    for tier in ("a20", "a50", "a100", "a200", "on top"):
        assert sum(row[tier] for row in families) == everything[tier]


def test_drift_is_the_share_of_rows_outside_the_training_range(table: pd.DataFrame) -> None:
    found = drift(table, ENDS, features_of("a50")).set_index("feature")
    levels, training = table["sma_200"], table["date"] <= pd.Timestamp(ENDS.train_end)
    test = table["date"] > pd.Timestamp(ENDS.validation_end)
    highest = levels[training].max()
    assert found.loc["sma_200", "outside_test"] == round((levels[test] > highest).mean(), 6) == 1.0  # ever higher
    rsi = table["rsi_daily"]
    outside = (rsi[test] < rsi[training].min()) | (rsi[test] > rsi[training].max())
    assert found.loc["rsi_daily", "outside_test"] == round(outside.mean(), 6) < 0.05  # an oscillator stays at home
    shift = (levels[test].mean() - levels[training].mean()) / levels[training].std(ddof=0)
    assert found.loc["sma_200", "shift_test"] == pytest.approx(shift, abs=1e-4)


def test_training_rows_alone_make_the_correlation_map(table: pd.DataFrame) -> None:
    training = table[table["date"] <= pd.Timestamp(ENDS.train_end)]
    assert len(training_sample(table, ENDS)) == len(training)
    thinned = training_sample(table, ENDS, at_most=1000)
    assert 1000 <= len(thinned) < 1500
    assert {tuple(row[:3]) for row in thinned} <= {tuple(row) for row in training.iloc[:, 1:4].to_numpy()}


def test_the_page_names_what_leaves_the_range_and_its_figures_exist(table: pd.DataFrame, tmp_path: Path) -> None:
    described = features_of("a50")
    found = drift(table, ENDS, described)
    figures = [tmp_path / "correlation.png", tmp_path / "drift.png"]
    plot_correlation(training_sample(table, ENDS), described, figures[0])
    plot_drift(found, figures[1])
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures)
    usable = {"SP500": {"rows": len(table), "first_per_tier": {"a20": "1999-10-19", "a50": "1999-10-19"}}}
    text = page("a50", described, usable, found, figures)
    assert "| sma_200" in text
    assert "1999-10-19" in text
    assert "nan" not in text


def test_a_split_without_rows_stops_with_the_remedy(table: pd.DataFrame) -> None:
    ends = SplitDates(train_end=date(1990, 1, 1), validation_end=date(2015, 1, 1))
    with pytest.raises(InputError, match="no rows in train; move the split dates"):
        drift(table, ends, features_of("a50"))
    assert np.isfinite(table.iloc[:, 1:-1].to_numpy(dtype=float)).all()
