"""The whole pipeline, run by DVC."""

import json

import pandas as pd
import pytest
import yaml

from tests.pipeline.conftest import Workspace

# Wall time is measured, so it differs from run to run; nothing else may.
MEASURED_TIME = {"metrics/runtime.json"}


def hashes(workspace: Workspace) -> dict[str, str]:
    stages = yaml.safe_load(workspace.read("dvc.lock"))["stages"]
    outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    return {path: md5 for path, md5 in outs.items() if path not in MEASURED_TIME}


def test_one_run_makes_every_result(finished: Workspace) -> None:
    metrics = json.loads(finished.read("metrics/evaluate.json"))
    assert abs(metrics["params_counted"] / 10_000 - 1) <= 0.02
    assert metrics["test_loss_low"] < metrics["test_loss"] < metrics["test_loss_high"]
    summary = finished.read("reports/summary.txt")
    for words in ("windows", "positives", "parameters counted", "validation loss", "skill", "PatchTST", "base rate",
                  "persistence", "logistic", "catboost", "plots/scaling_curve.png"):  # fmt: skip
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
    told = clone.run("dvc", "repro")
    assert "Data and pipelines are up to date." in told
    assert "Running stage" not in told
    assert clone.outputs() == before


def test_running_everything_again_gives_the_same_hashes(clone: Workspace) -> None:
    before = hashes(clone)
    told = clone.run("dvc", "repro", "--force", "--no-run-cache")
    assert told.count("Running stage") == len(yaml.safe_load(clone.read("dvc.yaml"))["stages"])
    assert hashes(clone) == before
    assert "models/model.safetensors" in before


def test_a_changed_learning_rate_recomputes_no_feature(clone: Workspace) -> None:
    clone.set_params(train={"learning_rate": 0.001, "epochs": 1})
    told = clone.run("dvc", "repro", "--dry")
    running = [line.split("'")[1] for line in told.splitlines() if line.startswith("Running stage")]
    assert running[:3] == ["configure", "tune", "train"]  # the search is off, and says so again
    assert "baselines" not in running


@pytest.mark.slow
def test_a_regression_and_another_asset_tier_run_through(clone: Workspace) -> None:
    clone.set_params(task="regression", assets="B", horizon="weekly", train={"epochs": 1})
    clone.run("dvc", "repro")
    experiment = json.loads(clone.read("metrics/experiment.json"))
    assert experiment["axes"]["task"] == "regression"
    predictions = pd.read_parquet(clone.path / "data/processed/predictions.parquet")
    assert set(predictions["asset"]) == {"SP500", "NASDAQ"}
    assert experiment["test_rows"] == (predictions["split"] == "test").sum()
