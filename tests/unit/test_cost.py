"""What a run will cost: every fold is a model that is trained, and every setting of a run counts."""

import json
from itertools import pairwise

import pytest

from finscale.errors import InputError
from finscale.scaling.phases import Row
from study import phase
from study.cost import DATASET_METRICS, estimate, planned, planned_folds, train_windows

WALK = {"source": "bundled", "evaluation.scheme": "walk_forward"}
MEASURED = json.loads(DATASET_METRICS.read_text())
AXES = {"source": "bundled", "tier": "a20", "budget": "100K", "seed": 0}


def windows(**settings: object) -> list[int]:
    return train_windows(planned({key.replace("__", "."): value for key, value in settings.items()}), MEASURED)


def test_a_single_split_trains_once_on_about_the_windows_that_the_last_run_had() -> None:
    last = {
        "train": {"rows": 3442, "first": "2000-04-18", "last": "2013-12-23"},
        "test": {"rows": 749, "first": "2016-01-04", "last": "2018-12-21"},
    }
    (found,) = train_windows(planned({"source": "bundled", "evaluation.scheme": "single"}), last)
    assert found == pytest.approx(3442, rel=0.005)


def test_walk_forward_trains_on_ten_years_before_each_test_year() -> None:
    assert [fold.name for fold in planned_folds(planned(WALK))] == [str(year) for year in range(2013, 2019)]
    found = windows(source="bundled", evaluation__scheme="walk_forward")
    assert len(found) == 6
    assert all(2400 < one < 2600 for one in found)
    later = planned(WALK | {"source": "directory", "data.end": "2024-12-31"})  # its own first year, 2007
    assert len(planned_folds(later)) == 18


def test_an_expanding_window_grows_by_a_year_per_fold() -> None:
    found = windows(source="bundled", evaluation__scheme="walk_forward", evaluation__walk_forward__window="expanding")
    assert all(later - earlier == pytest.approx(252, abs=6) for earlier, later in pairwise(found))


def test_the_cost_of_a_run_is_that_of_all_its_folds() -> None:
    single, walk = estimate(AXES | {"evaluation.scheme": "single"}), estimate(AXES | WALK)
    (of_single,) = windows(source="bundled", evaluation__scheme="single")
    of_walk = windows(source="bundled", evaluation__scheme="walk_forward")
    assert (single.folds, walk.folds) == (1, 6)
    assert walk.flops / single.flops == pytest.approx(sum(of_walk) / of_single)
    assert walk.seconds / single.seconds == pytest.approx(walk.flops / single.flops)
    assert walk.gigabytes == single.gigabytes  # one model at a time


def test_settings_of_a_phase_count_and_a_block_that_is_not_there_is_refused() -> None:
    assert estimate(AXES | {"train.epochs": 60}).flops == 2 * estimate(AXES | {"train.epochs": 30}).flops
    with pytest.raises(InputError, match=r"no block 'trian', which the setting trian\.epochs=60 names"):
        estimate(AXES | {"trian.epochs": 60})


def test_the_dry_run_says_that_folds_were_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row("P1-100K", AXES), Row("P1-100K", AXES | {"seed": 1})]
    phase.show(rows, 2, 1, {"evaluation.scheme": "walk_forward"})
    assert "walk-forward trains one model per fold, 12 in all" in capsys.readouterr().out
    phase.show(rows, 2, 1, {"evaluation.scheme": "single"})
    assert "per fold" not in capsys.readouterr().out


def test_no_fold_before_the_data_end() -> None:
    with pytest.raises(InputError, match="first_test = 2007: the last labelled day is 2005-12-30"):
        estimate(AXES | WALK | {"source": "directory", "data.end": "2005-12-31"})
