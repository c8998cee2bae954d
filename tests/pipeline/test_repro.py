"""The whole pipeline, run by DVC."""

import json

import pandas as pd
import pytest
import yaml

from tests.pipeline.conftest import Workspace

pytestmark = pytest.mark.xdist_group("finished")

# Wall time is measured, so it differs from run to run; nothing else may.
MEASURED_TIME = {"models/runtime.json"}


def hashes(workspace: Workspace) -> dict[str, str]:
    stages = yaml.safe_load(workspace.read("dvc.lock"))["stages"]
    outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    return {path: md5 for path, md5 in outs.items() if path not in MEASURED_TIME}


def running(told: str) -> list[str]:
    """The stages that DVC says it runs."""
    return [line.split("'")[1] for line in told.splitlines() if line.startswith("Running stage")]


def test_one_run_makes_every_result(finished: Workspace) -> None:
    metrics = json.loads(finished.read("metrics/evaluate.json"))
    assert abs(metrics["params_counted"] / 10_000 - 1) <= 0.02
    assert metrics["test_loss_low"] < metrics["test_loss"] < metrics["test_loss_high"]
    summary = finished.read("reports/summary.txt")
    for words in ("windows", "positives", "parameters counted", "validation loss", "skill", "PatchTST", "base rate",
                  "persistence", "linear model", "CatBoost", "plots/scaling_curve.png"):  # fmt: skip
        assert words in summary
    assert len(summary.splitlines()) <= 30
    assert (finished.path / "plots/run.png").stat().st_size > 10_000


def test_no_day_of_a_split_is_without_a_prediction(finished: Workspace) -> None:
    predictions = pd.read_parquet(finished.path / "data/processed/predictions.parquet")
    test = pd.read_parquet(finished.path / "data/processed/test_labels.parquet")
    development = pd.read_parquet(finished.path / "data/processed/development.parquet")
    for split, rows in (("validation", development), ("test", test)):
        wanted = rows[rows["split"] == split]
        got = predictions[predictions["split"] == split]
        assert got["date"].tolist() == wanted["date"].tolist()
        assert got["label"].tolist() == wanted["label"].tolist()
    assert not predictions.isna().any(axis=None)


def test_a_second_run_does_nothing(clone: Workspace) -> None:
    before = clone.outputs()
    assert running(clone.run("dvc", "repro")) == ["configure"]
    assert clone.outputs() == before
    assert clone.run("git", "status", "--short") == ""
    assert clone.run("dvc", "status").split() == ["configure:", "always", "changed"]


def test_an_edited_library_file_runs_the_stages_that_import_it_and_no_other(clone: Workspace) -> None:
    with (clone.path / "finscale/indicators/momentum.py").open("a") as file:
        file.write("\n# edited\n")
    clone.run("dvc", "repro", "code")
    edited = [
        path.split("/")[1].removesuffix(".md5") for path in clone.run("git", "diff", "--name-only", "code").split()
    ]
    assert edited == ["dictionary", "feature_report", "features"]
    told = clone.run("dvc", "repro", "dataset")
    assert running(told) == ["configure", "features"]  # of the same output, so that `dataset` has nothing to do
    assert clone.run("dvc", "status", "code", "features", "dataset").strip() == "Data and pipelines are up to date."


def test_running_everything_again_gives_the_same_hashes(clone: Workspace) -> None:
    before = hashes(clone)
    told = clone.run("dvc", "repro", "--force", "--no-run-cache")
    assert told.count("Running stage") == len(yaml.safe_load(clone.read("dvc.yaml"))["stages"])
    assert hashes(clone) == before
    assert "models/model.safetensors" in before


def test_budget_seed_and_training_settings_run_nothing_before_train(clone: Workspace) -> None:
    clone.set_params(budget="12K", seed=1, train={"learning_rate": 0.001})
    clone.run("dvc", "repro", "configure")
    assert running(clone.run("dvc", "repro", "--dry"))[:2] == ["configure", "train"]


def test_an_earlier_tier_and_task_come_from_the_run_cache(clone: Workspace) -> None:
    clone.set_params(tier="a50", task="direction")
    assert {"features", "label", "dataset"} <= set(running(clone.run("dvc", "repro", "dataset")))
    clone.run("git", "checkout", "-q", "params.yaml", "dvc.lock")
    back = clone.run("dvc", "repro", "dataset")
    there = clone.run("dvc", "exp", "run", "--temp", "-S", "tier=a50", "-S", "task=direction", "dataset")
    for told in (back, there):
        assert [f"Stage '{name}' is cached" in told for name in ("features", "label", "dataset")] == [True] * 3
        assert running(told) == ["configure"]


@pytest.mark.slow
def test_a_regression_and_another_asset_tier_run_through(clone: Workspace) -> None:
    clone.set_params(task="regression", assets="B", horizon="weekly", train={"epochs": 1})
    clone.run("dvc", "repro")
    experiment = json.loads(clone.read("metrics/experiment.json"))
    assert experiment["axes"]["task"] == "regression"
    predictions = pd.read_parquet(clone.path / "data/processed/predictions.parquet")
    assert set(predictions["asset"]) == {"SP500", "NASDAQ"}
    assert experiment["test_rows"] == (predictions["split"] == "test").sum()
