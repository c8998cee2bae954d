"""Which symbols train: drawn once, nested, and never those that are kept for the second test."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from finscale.calendar import sessions
from finscale.data.config import UniverseConfig
from finscale.data.dataset import describe, divide, feature_names, normalise, split_rows
from finscale.data.selection import Selection, apply, drawn, select, shortened
from finscale.data.splits import UNSEEN, single_fold
from finscale.errors import InputError
from tests.conftest import ENDS

RESERVE = 20
FOLD = single_fold(ENDS)
NAMES = [f"S{number:02d}" for number in range(12)]


@pytest.fixture(scope="module")
def joined() -> pd.DataFrame:
    """Twelve symbols from 2009 on; S11 is listed after training ends, S10 leaves before the test."""
    days = sessions(pd.Timestamp("2009-01-02"), pd.Timestamp(ENDS.test_end))
    parts = []
    for number, name in enumerate(NAMES):
        own = days[days > "2014-06-30"] if name == "S11" else days[days < "2015-06-30"] if name == "S10" else days
        rng = np.random.default_rng(number)
        rows = pd.DataFrame({"date": own, "asset": name, "x": rng.normal(size=len(own)), "label": 1.0})
        parts.append(rows.assign(exit=rows["date"].shift(-5), last_known=1.0))
    return pd.concat(parts, ignore_index=True)


def chosen(joined: pd.DataFrame, symbols: int | None = None, unseen: float = 0.25, draw: int = 0) -> Selection:
    return select(joined, FOLD, UniverseConfig(draw=draw, unseen=unseen), symbols, RESERVE)


def rows(joined: pd.DataFrame, selection: Selection, history: int | None = None) -> pd.DataFrame:
    return apply(split_rows(joined, shortened(FOLD, history), RESERVE), selection, RESERVE)


def test_a_larger_draw_holds_the_smaller_one_whatever_else_is_in_the_universe(joined: pd.DataFrame) -> None:
    sizes = [set(chosen(joined, symbols).trained) for symbols in (1, 3, 5, 8)]
    assert [len(one) for one in sizes] == [1, 3, 5, 8]
    assert all(small < large for small, large in pairwise(sizes))
    others = [name for name in drawn([*NAMES, "T1", "T2"], 0) if name in NAMES]
    assert others == drawn(reversed(NAMES), 0)
    assert drawn(NAMES, 0) != drawn(NAMES, 1)


def test_the_unseen_are_the_same_however_many_train_and_none_of_them_does(joined: pd.DataFrame) -> None:
    draws = [chosen(joined, symbols) for symbols in (1, 4, 8, None)]
    assert {one.unseen for one in draws} == {draws[0].unseen}
    assert len(draws[0].unseen) == 3  # a quarter of the eleven that have training rows
    assert all(not set(one.trained) & set(one.unseen) for one in draws)
    assert all(one.late == ("S11",) for one in draws)
    with pytest.raises(InputError, match=r"symbols = 9, but 11 symbols .* 3 are kept unseen .*; at most 8"):
        chosen(joined, 9)


def test_the_unseen_are_in_no_file_that_trains_chooses_or_calibrates(joined: pd.DataFrame) -> None:
    selection = chosen(joined)
    found, scaler = normalise(rows(joined, selection))
    development, features, labels = divide(found, FOLD.periods["calibration"].last)
    assert set(development["asset"]) == set(selection.trained)
    assert "label" not in features
    second = labels[labels["split"] == UNSEEN]
    assert set(second["asset"]) == set(selection.unseen) - {"S10"}  # which had left by then
    assert second["date"].min() > FOLD.periods["calibration"].last
    # What never trains moves no scale: without those rows, and with others in their place, it is the same.
    other = joined.assign(x=joined["x"].where(~joined["asset"].isin(selection.unseen), 1e6))
    pd.testing.assert_frame_equal(normalise(rows(other, selection))[1], scaler)


def test_an_unseen_symbol_has_the_context_that_its_first_day_needs_and_no_more(joined: pd.DataFrame) -> None:
    found = rows(joined, chosen(joined))
    for _, own in found[found["asset"].isin(chosen(joined).unseen)].groupby("asset"):
        splits = own["split"].to_numpy()
        assert (splits[: RESERVE - 1] != UNSEEN).all()
        assert splits[RESERVE - 1] == UNSEEN
        assert own.loc[own["split"] != UNSEEN, "label"].isna().all()


def test_history_is_the_last_years_of_training_and_leaves_the_other_splits_as_they_are(joined: pd.DataFrame) -> None:
    selection = chosen(joined, unseen=0.0)
    whole, short = (describe(rows(joined, selection, history), "direction") for history in (None, 2))
    assert short["train"]["first"] == "2012-01-03"
    assert short["train"]["rows"] < whole["train"]["rows"] / 2
    assert all(short[split] == whole[split] for split in ("validation", "calibration", "test"))


def test_a_symbol_without_a_training_row_is_in_no_split(joined: pd.DataFrame) -> None:
    found = rows(joined, chosen(joined, unseen=0.0))
    assert "S11" not in set(found["asset"])
    assert "S10" in set(found.loc[found["split"] == "validation", "asset"])  # it leaves when it ends


def test_all_symbols_of_a_universe_of_one_are_its_rows_as_they_are(joined: pd.DataFrame) -> None:
    one = joined[joined["asset"] == "S00"].reset_index(drop=True)
    plain = split_rows(one, FOLD, RESERVE)
    pd.testing.assert_frame_equal(rows(one, select(one, FOLD, UniverseConfig(), None, RESERVE)), plain)
    assert feature_names(plain) == ["x"]
