"""SPEC 11's names and formats, on the project's own ledger and on planted ones."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.pages.experiments import generate_experiment_summary_report
from finscale.pages.gallery import draw_gallery
from finscale.pages.scaling_figures import compare_scaling_across_tasks
from finscale.scaling.isoflop import compute_levels, isoflop_words
from finscale.scaling.laws.multiple import holm
from finscale.scaling.ledger import read_ledger
from finscale.scaling.report import (
    generate_scaling_report,
    summarize_experiment,
)
from finscale.scaling.results import (
    aggregate_hpo_results,
    aggregate_training_results,
    export_results_csv,
    load_experiment_results,
    name_experiments,
)
from finscale.scaling.settings import read_settings
from finscale.storage import write_json

LEDGER = Path("results/ledger.csv")
SETTINGS = read_settings(Path("results/settings.json"))
SPEC_COLUMNS = [
    "experiment",
    "budget",
    "params",
    "val_loss",
    "test_loss",
    "accuracy",
    "alpha_fit",
    "r_squared",
    "timestamp",
]
PILOT = "bundled-Aa-daily-a20-threshold_1pct-h5"
BEST = {
    "experiment": "P1", "budget": "2M", "best_params": {"lr": 1e-4, "d_model": 64}, "best_value": 0.58,
    "n_trials_completed": 40, "n_trials_pruned": 10, "total_time_seconds": 3600.0, "timestamp": "2026-01-01T00:00:00",
    "study_name": "P1-2M", "optuna_version": "5.0.0",
}  # fmt: skip


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    return load_experiment_results(LEDGER)


@pytest.fixture(scope="module")
def pilot(results: pd.DataFrame) -> pd.DataFrame:
    return results[results["experiment"] == PILOT]


def planted(pilot: pd.DataFrame, alpha: float, **axes: str) -> pd.DataFrame:
    """The pilot's runs with losses of a known law, under other axes."""
    noise = np.random.default_rng(0).normal(scale=0.003, size=len(pilot))
    rows = pilot.assign(**axes, test_loss=0.9 * pilot["params_total"] ** -alpha * np.exp(noise))
    named = ["experiment", "market", "variant", "differs", "params", "val_loss", "accuracy"]
    return name_experiments(rows.drop(columns=named), SETTINGS)


def test_the_report_of_an_experiment_has_spec_s_keys(results: pd.DataFrame) -> None:
    report = json.loads(json.dumps(generate_scaling_report(results, PILOT), allow_nan=False))
    assert {"experiment", "metric", "fit_results", "data_points", "interpretation"} <= set(report)
    assert {"alpha", "coefficient", "r_squared"} <= set(report["fit_results"])
    assert {"budget", "params", "val_loss", "test_loss", "accuracy"} <= set(report["data_points"][0])
    assert [law["law"] for law in report["laws"]].count("power law") == 1


def test_a_planted_law_has_its_exponent_and_without_losses_per_day_no_verdict(pilot: pd.DataFrame) -> None:
    report = generate_scaling_report(planted(pilot, 0.05), PILOT)
    assert report["verdict"] == "not judged"
    assert report["law"] is None
    assert "over seeds only, and the verdict does not carry it" in report["interpretation"]
    assert report["fit_results"]["alpha"] == pytest.approx(0.05, abs=0.002)


def test_two_sizes_are_undecidable(pilot: pd.DataFrame) -> None:
    report = generate_scaling_report(pilot[pilot["budget"].isin(["10K", "1M"])], PILOT)
    assert (report["verdict"], report["fit_results"]) == ("undecidable", None)
    assert "2 of at least 3 sizes" in report["interpretation"]


def test_sizes_that_are_met_within_rounding_are_one_size_everywhere(pilot: pd.DataFrame, tmp_path: Path) -> None:
    """Three counts, two of them 60 parameters apart in 300 thousand, are two sizes: no law is fitted or drawn."""
    rows = pilot[pilot["budget"].isin(["10K", "300K"])]
    for column in ("params", "params_total"):
        apart = rows[column] + np.where((rows["budget"] == "300K") & (rows["seed"] == 0), 60, 0)
        rows = rows.assign(**{column: apart})
    assert rows["params"].nunique() == 3
    assert "2 of at least 3 sizes" in generate_scaling_report(rows, PILOT)["interpretation"]
    assert summarize_experiment(rows, PILOT)["sizes"] == 2
    assert export_results_csv(rows)["alpha_fit"].isna().all()
    assert not [path for path in draw_gallery(rows, PILOT, tmp_path) if "extrapolation" in path.name]


def test_another_metric_can_be_fitted_and_an_unknown_one_is_refused(results: pd.DataFrame) -> None:
    assert generate_scaling_report(results, PILOT, "val_loss")["metric"] == "val_loss"
    with pytest.raises(InputError, match="'f1' is no column"):
        generate_scaling_report(results, PILOT, "f1")
    with pytest.raises(InputError, match=f"there are: .*{PILOT}"):
        generate_scaling_report(results, "P9")


def test_all_results_begin_with_spec_s_columns_and_hold_every_run_once(pilot: pd.DataFrame) -> None:
    table = export_results_csv(pd.concat([pilot, pilot.head(2).assign(experiment="two", params=[1, 2])]))
    assert list(table.columns[: len(SPEC_COLUMNS)]) == SPEC_COLUMNS
    assert table.groupby("experiment").size().to_dict() == {PILOT: len(pilot), "two": 2}
    fitted = table.groupby("experiment")["alpha_fit"].nunique()
    assert fitted.to_dict() == {PILOT: 1, "two": 0}  # too few sizes: empty, not made up


def test_seeds_are_averaged_per_budget(pilot: pd.DataFrame) -> None:
    table = aggregate_training_results(pilot).set_index("budget")
    ten = pilot[pilot["budget"] == "10K"]
    assert list(table["params"]) == sorted(table["params"])
    assert table.loc["10K", "seeds"] == ten["seed"].nunique()
    assert table.loc["10K", "test_loss"] == pytest.approx(ten["test_loss"].mean())
    assert table.loc["10K", "test_loss_std"] == pytest.approx(ten["test_loss"].std())


def test_the_best_run_is_chosen_by_validation_and_never_by_the_test(pilot: pd.DataFrame) -> None:
    summary = summarize_experiment(pilot, PILOT)
    best = pilot.sort_values("val_loss").iloc[0]
    assert (summary["best_run_by_val_loss"], summary["its_test_loss"]) == (best["name"], best["test_loss"])
    worse = pilot.assign(test_loss=pilot["test_loss"].to_numpy()[::-1])
    assert summarize_experiment(worse, PILOT)["best_run_by_val_loss"] == best["name"]


def test_the_summary_names_every_experiment_with_its_verdict(pilot: pd.DataFrame) -> None:
    both = pd.concat([pilot, planted(pilot, 0.05, task="direction")])
    text = generate_experiment_summary_report(both)
    assert f"## {PILOT}" in text
    assert "## bundled-Aa-daily-a20-direction-h5" in text
    assert text.count("not judged: the exponent is") == 2
    assert generate_experiment_summary_report(both.head(0)).startswith("# Experiments\n\nNo experiment")


def test_many_curves_are_corrected_for(pilot: pd.DataFrame) -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({}) == {}


def test_searches_are_collected_from_their_best_files(tmp_path: Path) -> None:
    for budget in ("2M", "20M"):
        write_json(tmp_path / "P1" / f"{budget}_best.json", BEST | {"budget": budget})
    table = aggregate_hpo_results(tmp_path)
    assert sorted(table["budget"]) == ["20M", "2M"]
    assert table["best_params.d_model"].tolist() == [64, 64]


def test_a_search_file_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \{budget\}_best\.json in it"):
        aggregate_hpo_results(tmp_path)
    write_json(tmp_path / "2M_best.json", {key: value for key, value in BEST.items() if key != "best_value"})
    with pytest.raises(InputError, match="lacks best_value"):
        aggregate_hpo_results(tmp_path)
    write_json(tmp_path / "2M_best.json", BEST | {"budget": "20M"})
    with pytest.raises(InputError, match=r"its name should be 20M_best\.json"):
        aggregate_hpo_results(tmp_path)


def test_an_absent_ledger_is_refused_and_an_empty_one_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`make pilot` runs a ladder"):
        load_experiment_results(tmp_path / "ledger.csv")
    empty = name_experiments(read_ledger(tmp_path / "ledger.csv"), {})
    assert list(export_results_csv(empty).columns[: len(SPEC_COLUMNS)]) == SPEC_COLUMNS
    assert [path.name for path in draw_gallery(empty, PILOT, tmp_path / "figures")] == ["tasks.png", "tasks.svg"]


def test_every_figure_that_the_ledger_carries_is_drawn_and_stale_ones_go(pilot: pd.DataFrame, tmp_path: Path) -> None:
    tiers = pd.concat(
        [pilot, *(planted(pilot, 0.02, tier=tier) for tier in ("a50", "a100"))]
    ).query("budget in ['10K', '100K', '1M']")  # fmt: skip
    (tmp_path / "old.png").write_text("from another ledger")
    names = {path.stem for path in draw_gallery(tiers, PILOT, tmp_path, daily=tmp_path / "none")}
    assert {"tasks", "interaction-budget-tier-bundled-A-a-daily-threshold_1pct-5", f"extrapolation-{PILOT}"} <= names
    assert any(name.startswith("features-") for name in names)
    assert {path.stem for path in tmp_path.iterdir()} == names
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    draw_gallery(tiers, PILOT, tmp_path, daily=tmp_path / "none")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


@pytest.mark.parametrize("tasks", [1, 2, 4, 6])
def test_any_number_of_tasks_is_compared(pilot: pd.DataFrame, tasks: int, tmp_path: Path) -> None:
    names = ["direction", "regression", *(f"threshold_{n}pct" for n in (1, 2, 3, 5))][:tasks]
    compare_scaling_across_tasks(pd.concat([planted(pilot, 0.01, task=name) for name in names]), tmp_path / "t.png")
    assert (tmp_path / "t.png").stat().st_size > 10_000


def at_equal_compute(pilot: pd.DataFrame) -> pd.DataFrame:
    """The pilot's sizes, each trained for as many epochs as three levels of compute allow; the best size grows."""
    runs = []
    for flops in (1e12, 2e12, 4e12):
        best = np.log10(30_000 * flops / 1e12)
        for row in pilot.drop_duplicates("budget").to_dict("records"):
            loss = 0.5 + 0.01 * (np.log10(row["params_total"]) - best) ** 2
            runs.append(row | {"train_flops": flops * 1.05, "epochs_run": 10, "test_loss": loss})
    return pd.DataFrame(runs)


def test_profiles_at_equal_compute_are_drawn_where_the_ledger_has_them(pilot: pd.DataFrame, tmp_path: Path) -> None:
    runs = at_equal_compute(pilot)
    assert compute_levels(runs["params_total"], runs["train_flops"]) == pytest.approx([1.05e12, 2.1e12, 4.2e12])
    assert f"isoflop-{PILOT}" in {path.stem for path in draw_gallery(pilot, PILOT, tmp_path, runs)}
    words = isoflop_words(runs)
    assert words.startswith("isoFLOP profiles at 3 levels; size that loses least: 30K at 1.0e+12 FLOPs, 60K at")


def test_levels_that_share_sizes_only_by_early_stopping_are_none(pilot: pd.DataFrame, tmp_path: Path) -> None:
    assert not any(path.stem.startswith("isoflop") for path in draw_gallery(pilot, PILOT, tmp_path))
    assert "the ledger has 0 such levels; missing are runs" in isoflop_words(pilot)
    one = at_equal_compute(pilot).query("train_flops < 1.5e12")
    assert "the ledger has 1 such levels" in isoflop_words(one)
