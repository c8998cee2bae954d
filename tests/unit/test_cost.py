"""What a run will cost, and whether it can be run at all: asked of the stages' own functions beforehand."""

import hashlib
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from finscale.errors import InputError
from finscale.scaling.phases import Row
from study import phase
from study.cells import Asked, judge
from study.cost import calendar_windows, estimate, planned, planned_folds

WALK = {"source": "bundled", "evaluation.scheme": "walk_forward"}
AXES = {"source": "bundled", "timescale": "daily", "tier": "a20", "budget": "100K", "seed": 0}


def windows(**settings: object) -> list[int]:
    run = planned(AXES | {key.replace("__", "."): value for key, value in settings.items()})
    return list(judge(Asked.model_validate(run.model_dump(include=set(Asked.model_fields)))).windows or ())


def test_a_single_split_trains_on_the_windows_that_the_stage_counts() -> None:
    assert windows() == [3442]  # metrics/dataset.json of the committed run


def test_walk_forward_trains_on_ten_years_before_each_test_year() -> None:
    assert [fold.name for fold in planned_folds(planned(WALK))] == [str(year) for year in range(2013, 2019)]
    found = windows(evaluation__scheme="walk_forward")
    assert len(found) == 6
    assert all(2400 < one < 2600 for one in found)
    later = planned(WALK | {"source": "directory", "data.end": "2024-12-31"})  # its own first year, 2007
    assert len(planned_folds(later)) == 18


def test_an_expanding_window_grows_by_a_year_per_fold() -> None:
    found = windows(evaluation__scheme="walk_forward", evaluation__walk_forward__window="expanding")
    assert all(later - earlier == pytest.approx(252, abs=6) for earlier, later in pairwise(found))


def test_the_cost_of_a_run_is_that_of_all_its_folds() -> None:
    single, walk = estimate(AXES | {"evaluation.scheme": "single"}), estimate(AXES | WALK)
    (of_single,) = windows()
    of_walk = windows(evaluation__scheme="walk_forward")
    assert (single.folds, walk.folds) == (1, 6)
    assert walk.flops / single.flops == pytest.approx(sum(of_walk) / of_single)
    assert walk.seconds / single.seconds == pytest.approx(walk.flops / single.flops)
    assert walk.gigabytes == single.gigabytes  # one model at a time


def test_longer_bars_are_fewer_and_weekly_indicators_are_channels() -> None:
    daily, pairs, multi = (estimate(AXES | {"timescale": name}) for name in ("daily", "2d", "daily_multi"))
    assert pairs.flops / daily.flops == pytest.approx(0.45, abs=0.05)  # warm-up takes twice as many days
    assert multi.flops > 1.2 * daily.flops


def test_without_prices_windows_are_counted_on_the_calendar_from_the_first_day_asked_for() -> None:
    live = {"source": "live", "assets": "B", "data.end": "2025-12-31", "data.start": "1991-01-01"}
    (found,) = calendar_windows(planned(AXES | live))
    assert found == pytest.approx(2 * 30 * 252, rel=0.01)  # two assets, to the end of 2020


def test_settings_of_a_phase_count_and_a_block_that_is_not_there_is_refused() -> None:
    assert estimate(AXES | {"train.epochs": 60}).flops == 2 * estimate(AXES | {"train.epochs": 30}).flops
    with pytest.raises(InputError, match=r"no block 'trian', which the setting trian\.epochs=60 names"):
        estimate(AXES | {"trian.epochs": 60})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "threshold_5pct"}, "the validation split has 1 positives for task threshold_5pct"),
        ({"timescale": "monthly"}, "the train split has no labelled row once features have warmed up"),
        ({"timescale": "weekly", "dataset.context_reserve": 250}, r"fewer than dataset\.min_rows\.long = 60"),
        ({"source": "directory", "data.directory": "/nowhere"}, "nowhere"),
        ({"assets": "C"}, "assets = C is not offered by source bundled"),
    ],
)
def test_a_run_that_dataset_or_download_will_refuse_is_refused_in_their_words(changes: dict, words: str) -> None:
    cost = estimate(AXES | changes)
    assert cost.flops == 0
    assert re.search(words, cost.refused)


@pytest.mark.parametrize("timescale", ["3d", "5d", "weekly"])
def test_a_year_of_long_bars_is_too_few_and_their_own_dates_have_enough(timescale: str) -> None:
    few: dict[str, Any] = {f"dataset.split.long.bundled.{end}": day for end, day in [
        ("train_end", "2013-12-31"), ("calibration_start", "2015-01-01")]}  # fmt: skip
    assert (
        "validation split has" in estimate(AXES | {"timescale": timescale, "dataset.min_rows.long": 90} | few).refused
    )
    assert estimate(AXES | {"timescale": timescale, "dataset.min_rows.long": 90}).refused == ""


def files() -> dict[Path, str]:
    found = (path for folder in ("results", "metrics", "data") for path in Path(folder).rglob("*") if path.is_file())
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_the_dry_run_names_what_is_refused_counts_folds_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, asked = files(), ["phase", "6", "--budgets", "10K", "--seeds", "0", "--dry", "--set", "source=bundled"]
    monkeypatch.setattr("sys.argv", [*asked, "tier=a20"])
    phase.main()
    told = capsys.readouterr().out
    assert "phase: refused, 2 runs: dataset: the validation split has 14 positives for task threshold_3pct" in told
    assert "P6-daily-threshold_3pct-10K, P6-daily_multi-threshold_3pct-10K" in told
    assert "of 48 runs to do" in told
    assert "48 of 48" not in told
    assert files() == before
    rows = [Row("P1-100K", AXES), Row("P1-100K", AXES | {"seed": 1})]
    phase.show(phase.divide(rows, {"evaluation.scheme": "walk_forward"})[0], 2, 1)
    assert "walk-forward trains one model per fold, 12 in all" in capsys.readouterr().out


def test_no_fold_before_the_data_end() -> None:
    run = planned(AXES | WALK | {"source": "directory", "data.end": "2005-12-31"})
    with pytest.raises(InputError, match="first_test = 2007: the last labelled day is 2005-12-30"):
        planned_folds(run)
