"""Phase 6A: thresholds and horizons at one or more sizes, some of them never run, are one figure and one table."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.pages.experiments import generate_experiment_summary_report, rivals_words
from finscale.pages.gallery import draw_gallery
from finscale.pages.scaling_figures import compare_scaling_across_tasks, plot_scaling_curve
from finscale.scaling.ledger import AXES
from finscale.scaling.refused import add_refused, extend_refused, read_refused, refusal
from finscale.scaling.results import load_experiment_results, name_experiments
from finscale.scaling.rivals import differences_from_rivals, rival_rows
from finscale.scaling.settings import read_settings
from finscale.scaling.skill_grid import SkillCell, skill_grids
from tests.planted_days import write_days

LEDGER = Path("results/ledger.csv")
TASKS = [f"threshold_{percent}pct" for percent in (1, 2, 3, 5)]
HORIZONS = ["1", "2", "3", "5", "weekly"]
REFUSED = {("threshold_5pct", "1"), ("threshold_5pct", "2")}  # too few positives
STUDY = "bundled-Aa-daily-a20-threshold_1pct-h5"


@pytest.fixture(scope="module")
def ladder() -> pd.DataFrame:
    results = load_experiment_results(LEDGER)
    return results[results["experiment"] == STUDY]


def phase(ladder: pd.DataFrame, *budgets: str) -> pd.DataFrame:
    """The ladder's runs of these budgets under every threshold and horizon of phase 6A that is not refused."""
    runs = ladder[ladder["budget"].isin(budgets)].drop(columns=["experiment", "params", "val_loss", "accuracy"])
    parts = [
        runs.assign(task=task, horizon=horizon, test_skill=0.01 * row, test_skill_low=0.01 * row - 0.015)
        for row, task in enumerate(TASKS)
        for horizon in HORIZONS
        if (task, horizon) not in REFUSED
    ]
    return name_experiments(pd.concat(parts), read_settings(LEDGER.with_name("settings.json")))


def test_a_grid_per_size_has_every_threshold_and_horizon_in_order(ladder: pd.DataFrame) -> None:
    grids = list(skill_grids(phase(ladder, "1M", "30K", "100K")))
    assert [grid.budget for grid in grids] == ["30K", "100K", "1M"]
    cells = grids[0].cells
    assert (list(cells.index), list(cells)) == (TASKS, HORIZONS)
    assert {(task, horizon) for task in TASKS for horizon in HORIZONS if cells.loc[task, horizon] is None} == REFUSED
    one = cells.loc["threshold_3pct", "weekly"]
    assert (one.skill, one.low, one.seeds) == (pytest.approx(0.02), pytest.approx(0.005), 3)
    mine = ladder[ladder["budget"] == "30K"]
    assert one.rivals["catboost"] == pytest.approx(float((1 - mine["catboost_loss"] / mine["base_rate_loss"]).mean()))


def test_other_tiers_and_settings_are_other_grids_and_one_horizon_is_none(ladder: pd.DataFrame) -> None:
    runs = phase(ladder, "10K")
    names = [
        grid.name for grid in skill_grids(pd.concat([runs, runs.assign(tier="a50"), runs.assign(variant="1f3a9c")]))
    ]
    assert names == [f"bundled-A-a-daily-{rest}" for rest in ("a20", "a20-1f3a9c", "a50")]
    assert not list(skill_grids(runs[runs["horizon"] == "5"]))
    assert not list(skill_grids(ladder))
    assert not list(skill_grids(ladder.head(0)))


def test_one_size_is_drawn_as_a_grid_and_not_as_eighteen_curves(ladder: pd.DataFrame, tmp_path: Path) -> None:
    names = {path.stem for path in draw_gallery(phase(ladder, "10K"), STUDY, tmp_path)}
    assert names == {"tasks", "horizons-bundled-A-a-daily-a20"}
    first = (tmp_path / "horizons-bundled-A-a-daily-a20.svg").read_bytes()
    draw_gallery(phase(ladder, "10K"), STUDY, tmp_path)
    assert (tmp_path / "horizons-bundled-A-a-daily-a20.svg").read_bytes() == first


def test_refused_is_not_no_run(ladder: pd.DataFrame, tmp_path: Path) -> None:
    runs = phase(ladder, "10K", "30K")
    words = "dataset: the validation split has 11 positives for task threshold_5pct, fewer than dataset.min_positives"
    axes = {**runs.iloc[0][[*AXES]].to_dict(), "task": "threshold_5pct", "horizon": "1"}
    told = refusal(axes, "single", runs.iloc[0]["settings"], words)
    others = [told | {"settings": "0123456789ab"}, told | {"tier": "a50"}]  # of other runs than these
    refused = add_refused(read_refused(tmp_path / "absent.csv"), [told, told, *others])
    assert len(refused) == 3
    for grid in skill_grids(runs, refused):  # the data refuse at any size
        assert grid.cells.loc["threshold_5pct", "1"] == "refused: 11 positives"
        assert grid.cells.loc["threshold_5pct", "2"] is None
    text = generate_experiment_summary_report(runs, refused=refused)
    assert re.search(r"\| > 5 % +\| refused: 11 positives +\| no run +\|", text)
    draw_gallery(runs, STUDY, tmp_path / "with", refused=refused)
    draw_gallery(runs, STUDY, tmp_path / "without")
    name = "horizons-bundled-A-a-daily-a20.png"
    assert (tmp_path / "with" / name).read_bytes() != (tmp_path / "without" / name).read_bytes()


def test_a_line_of_the_refused_that_is_none_is_named_and_the_table_then_not_written(
    ladder: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "refused.csv"
    told = refusal(phase(ladder, "10K").iloc[0][[*AXES]].to_dict(), "single", "0123456789ab", "dataset: few")
    extend_refused(path, [told])
    whole = path.read_text()
    path.write_text(f"<<<<<<< HEAD\n{whole}bundled,A,a,dai\n")
    assert read_refused(path).to_dict("records") == [told]
    assert "refused.csv, line 1: a merge left it" in (said := capsys.readouterr().err)
    assert "refused.csv, line 4: 4 values for" in said
    before = path.read_text()
    with pytest.raises(InputError, match=r"line 4: .*(\n.*)*mend .*refused\.csv, then try again"):
        extend_refused(path, [told | {"settings": "ba9876543210"}])
    assert path.read_text() == before


def test_a_run_that_came_after_all_is_shown_in_place_of_its_refusal(ladder: pd.DataFrame, tmp_path: Path) -> None:
    runs = phase(ladder, "10K")
    told = refusal(runs.iloc[0][[*AXES]].to_dict(), "single", runs.iloc[0]["settings"], "dataset: few")
    [grid] = skill_grids(runs, add_refused(read_refused(tmp_path / "absent.csv"), [told]))
    assert isinstance(grid.cells.loc[told["task"], told["horizon"]], SkillCell)


def test_the_summary_has_the_grid_as_a_table(ladder: pd.DataFrame) -> None:
    text = generate_experiment_summary_report(phase(ladder, "10K"))
    assert "## Skill by threshold and horizon: bundled-A-a-daily-a20, 10K" in text
    row = next(line for line in text.splitlines() if line.startswith("| > 5 %"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["no run", "no run"]
    assert all(cell.startswith("+3.0% (+1.5% to ") and " over days), 3 seeds; GARCH +" in cell for cell in cells[3:])
    assert "Skill by threshold" not in generate_experiment_summary_report(ladder)


def test_with_losses_per_day_a_cell_has_its_interval_over_seeds_and_days_and_paired_tests(
    ladder: pd.DataFrame, tmp_path: Path
) -> None:
    """Two of eight cells have a model that loses 5 % less than the base rate and than GARCH, CatBoost 10 % less."""
    runs = phase(ladder, "10K", "30K")
    runs = runs[runs["task"].isin(TASKS[:2]) & runs["horizon"].isin(HORIZONS[:2])]
    better = (runs["task"] == "threshold_1pct") & (runs["horizon"] == "1")
    noise = np.random.default_rng(0).normal(scale=0.002, size=len(runs))
    runs = runs.assign(
        test_loss=runs["base_rate_loss"] * (1 + noise - 0.05 * better),
        volatility_loss=runs["base_rate_loss"],
        catboost_loss=runs["base_rate_loss"] * (1 - 0.1 * better),
        key=[f"k{place:02d}" for place in range(len(runs))],
    )
    write_days(tmp_path, runs)
    differences = differences_from_rivals(runs, tmp_path)
    assert len(differences) == 8 * 3
    for grid in skill_grids(runs, differences=differences):
        good, bad = grid.cells.loc["threshold_1pct", "1"], grid.cells.loc["threshold_2pct", "2"]
        assert (good.covers, good.seeds) == ("seeds and days", 3)
        assert good.skill == pytest.approx(0.05, abs=0.004)
        assert 0 < good.low < good.skill < good.high
        assert good.positive
        assert rivals_words(good) == ["GARCH +0.0%, beaten", "CatBoost +10.0%, wins"]
        assert bad.low < 0 < bad.high
        assert not bad.positive
        assert rivals_words(bad) == ["GARCH +0.0%, not beaten", "CatBoost +0.0%, not beaten"]
    text = generate_experiment_summary_report(runs, differences=differences)
    assert re.search(r"\+\d\.\d% \(.* over seeds and days, p = .*\), 3 seeds; GARCH \+0.0%, beaten \(p = ", text)


def test_a_cell_of_one_seed_has_its_interval_over_days_and_is_not_judged(ladder: pd.DataFrame, tmp_path: Path) -> None:
    runs = phase(ladder, "10K")
    runs = runs[runs["task"].isin(TASKS[:2]) & runs["horizon"].isin(HORIZONS[:2]) & (runs["seed"] == 0)]
    runs = runs.assign(test_loss=0.9 * runs["base_rate_loss"], key=[f"k{place}" for place in range(len(runs))])
    write_days(tmp_path, runs)
    differences = differences_from_rivals(runs, tmp_path)
    [grid] = skill_grids(runs, differences=differences)
    cell = grid.cells.loc["threshold_1pct", "1"]
    assert (cell.covers, cell.seeds, cell.positive) == ("days", 1, False)
    assert cell.low > 0
    assert all(words.endswith(", not judged") for words in rivals_words(cell, with_p=True))
    text = generate_experiment_summary_report(runs, differences=differences)
    assert "over days), 1 seed; " in text
    assert "nan" not in text


def test_seeds_of_a_cell_that_share_no_days_are_not_compared_and_say_so(ladder: pd.DataFrame, tmp_path: Path) -> None:
    runs = ladder[ladder["budget"].isin(["10K", "30K"])].dropna(axis=1, how="all")
    write_days(tmp_path, runs)
    moved = runs[runs["budget"] == "10K"].iloc[[0]]
    write_days(tmp_path, moved, start="2010-01-04")
    refused, *judged = differences_from_rivals(runs, tmp_path)
    assert moved["key"].iloc[0] in refused.refused
    assert [one.budget for one in judged] == ["30K"] * len(judged)
    assert "were tested on different days" in str(rival_rows([refused, *judged])[0]["the model is"])


def test_experiments_of_one_size_take_no_panel_beside_real_curves(ladder: pd.DataFrame, tmp_path: Path) -> None:
    small = ladder[ladder["budget"] == "10K"].assign(experiment="one size")
    compare_scaling_across_tasks(ladder, tmp_path / "alone.png")
    compare_scaling_across_tasks(pd.concat([ladder, small]), tmp_path / "both.png")
    assert (tmp_path / "alone.png").read_bytes() == (tmp_path / "both.png").read_bytes()


def test_a_curve_of_one_size_is_drawn_without_a_fit(ladder: pd.DataFrame, tmp_path: Path) -> None:
    plot_scaling_curve(ladder[ladder["budget"] == "10K"], None, "one size", tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 5_000
