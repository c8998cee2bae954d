"""Every name of SPEC 11 does what its author expects of the call, on the committed ledger and on nothing at all."""

import inspect
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from finscale.errors import InputError
from study import author
from tests.conftest import write_development

ROOT = Path(__file__).parents[2]
CURVE = "bundled-Aa-daily-a20-threshold_1pct-h5-61d274"  # the pilot with the default recipe
LEDGER = ROOT / "results/ledger.csv"
NAMES = (
    "resample_ohlcv", "get_freq_string", "generate_data_dictionary", "create_study", "create_objective", "run_hpo",
    "load_search_space", "save_best_params", "fit_power_law", "plot_scaling_curve", "load_experiment_results",
    "generate_scaling_report", "compare_scaling_across_tasks", "aggregate_hpo_results", "aggregate_training_results",
    "summarize_experiment", "export_results_csv", "generate_experiment_summary_report",
)  # fmt: skip


def test_every_name_is_there() -> None:
    assert sorted(author.__all__) == sorted(NAMES)
    assert all(callable(getattr(author, name)) for name in NAMES)


def test_the_author_s_own_example_has_its_exponent() -> None:
    alpha, a, r_squared = author.fit_power_law([1.82e6, 19e6, 202e6, 2.04e9], [0.52, 0.48, 0.44, 0.41])
    assert (alpha, a, r_squared) == pytest.approx((0.034151, 0.84988, 0.998777), rel=1e-4)  # numpy.polyfit


def test_results_are_had_by_experiment_name_or_by_that_of_its_runs() -> None:
    pilot = author.load_experiment_results(CURVE)
    assert len(pilot) == 15
    assert {"experiment", "budget", "params", "val_loss", "test_loss", "accuracy"} <= set(pilot)
    assert author.load_experiment_results(pilot["experiment"].iloc[0])["key"].tolist() == pilot["key"].tolist()
    with pytest.raises(InputError, match="experiment 'P9' is not in the results; there are: bundled-Aa"):
        author.load_experiment_results("P9")
    with pytest.raises(InputError, match="experiment P6A is 8 curves; name one of them: directory-Aa"):
        author.generate_scaling_report("P6A")


def test_one_json_and_one_picture_per_experiment_have_names_that_can_be_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = author.generate_scaling_report(CURVE, ledger=LEDGER)
    assert json.loads(Path(f"reports/{CURVE}_scaling.json").read_text()) == report
    assert len(report["data_points"]) == 15
    figure = author.plot_scaling_curve(CURVE, ledger=LEDGER)
    assert isinstance(figure, Figure)
    assert Path(f"plots/{CURVE}_scaling.png").stat().st_size > 5_000
    assert isinstance(author.compare_scaling_across_tasks([CURVE], ledger=LEDGER), Figure)
    elsewhere = tmp_path / "a" / "b.png"
    author.plot_scaling_curve(CURVE, elsewhere, ledger=LEDGER)
    assert elsewhere.exists()
    table = author.export_results_csv(ledger=LEDGER)
    assert len(pd.read_csv("results/all_results.csv")) == len(table)
    assert {"test_precision", "test_recall", "test_f1", "train_loss"} <= set(table)
    assert author.generate_experiment_summary_report(CURVE, Path("s.md"), LEDGER) == Path("s.md").read_text()


def test_a_summary_has_the_best_budget_the_factor_and_both_summaries(tmp_path: Path) -> None:
    best = {
        "experiment": CURVE, "budget": "2M", "best_params": {"lr": 1e-4}, "best_value": 0.58,
        "n_trials_completed": 4, "n_trials_pruned": 1, "total_time_seconds": 3.0, "timestamp": "2026-01-01T00:00:00",
        "study_name": "P1-2M", "optuna_version": "5.0.0",
    }  # fmt: skip
    (tmp_path / "2M_best.json").write_text(json.dumps(best))
    summary = author.summarize_experiment(CURVE, tmp_path)
    runs = author.load_experiment_results(CURVE)
    means = runs.groupby("budget")[["val_loss", "test_loss"]].mean()
    assert summary["best_budget"] == means["val_loss"].idxmin()
    assert summary["scaling_factor"] == pytest.approx(means.loc["10K", "test_loss"] / means.loc["1M", "test_loss"])
    assert [one["budget"] for one in summary["training_summary"]] == ["10K", "30K", "100K", "300K", "1M"]
    assert [one["best_value"] for one in summary["hpo_summary"]] == [0.58]
    assert author.summarize_experiment(CURVE, tmp_path / "empty")["hpo_summary"] == []


def test_an_empty_folder_gives_empty_tables(tmp_path: Path) -> None:
    nothing = tmp_path / "ledger.csv"
    assert author.load_experiment_results("P1", nothing).empty
    assert author.aggregate_hpo_results(tmp_path).empty
    training = author.aggregate_training_results(ledger=nothing)
    assert training.empty
    assert {"experiment", "budget", "val_loss", "test_loss"} <= set(training)
    assert author.export_results_csv(tmp_path / "all.csv", nothing).empty
    assert author.generate_experiment_summary_report(ledger=nothing).startswith("# Experiments")
    with pytest.raises(InputError, match="no experiment in it; `make pilot` runs a ladder"):
        author.summarize_experiment("P1", ledger=nothing)


def test_every_output_path_may_be_left_out() -> None:
    for name in NAMES:
        parameters = inspect.signature(getattr(author, name)).parameters
        paths = [one for one in parameters.values() if one.name in ("output_path", "output_dir", "folder", "ledger")]
        assert all(one.default is not inspect.Parameter.empty for one in paths), name


def test_a_search_by_experiment_and_budget_is_run_and_taken_up_again(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["train"] |= {"epochs": 1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "one.yaml").write_text("learning_rate: {low: 0.0001, high: 0.01, log: true}\n")
    recent = rows[(rows["split"] != "test") & (rows["date"] >= "2012-06-01")].reset_index(drop=True)
    recent.loc[recent.index < 128, ["split", "label"]] = ["none", None]
    write_development(tmp_path, recent)
    shutil.copytree(ROOT / "search_spaces", tmp_path / "search_spaces")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINSCALE_SCRATCH", raising=False)
    assert len(author.load_search_space().parameters) > 5
    best = author.run_hpo("P1", "10K", n_trials=1, space="one.yaml")
    assert (best["experiment"], best["n_trials_completed"]) == ("P1", 1)
    assert "learning_rate" in best["best_params"]
    assert json.loads(Path("results/hpo/P1/10K_best.json").read_text()) == best
    assert author.run_hpo("P1", "10K", n_trials=2, space="one.yaml")["n_trials_completed"] == 2
    assert author.aggregate_hpo_results()["experiment"].tolist() == ["P1"]
    with pytest.raises(InputError, match="is no name"):
        author.create_study("../P1", "10K")
