"""DVCLive always; MLflow and W&B for real where they are installed; a failing mirror stops nothing."""

import importlib.util
import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from finscale.training.config import TrackingConfig
from finscale.training.loop import Epoch
from finscale.training.tracking import Tracker

EPOCHS = [Epoch(1, 0.7, 0.69, 1e-4, True), Epoch(2, 0.65, 0.66, 9e-5, True), Epoch(3, 0.6, 0.67, 5e-5, False)]
SETTINGS = {"budget": 100_000, "task": "direction", "model": {"dropout": 0.1}}


def track(folder: Path, **on: bool) -> None:
    tracker = Tracker(folder / "dvclive", "direction-100K-0", SETTINGS, TrackingConfig(**on), folder / "mirrors")
    for epoch in EPOCHS:
        tracker.log(epoch)
    tracker.finish({"best_epoch": 2})


def curve(folder: Path, name: str) -> list[float]:
    return pd.read_csv(folder / f"dvclive/plots/metrics/{name}.tsv", sep="\t").iloc[:, -1].tolist()


def test_dvclive_has_every_epoch_and_no_mirror_is_imported(tmp_path: Path) -> None:
    before = {"mlflow", "wandb"} & sys.modules.keys()
    track(tmp_path)
    assert curve(tmp_path, "validation/loss") == [0.69, 0.66, 0.67]
    assert json.loads((tmp_path / "dvclive/metrics.json").read_text())["step"] == 3
    assert {"mlflow", "wandb"} & sys.modules.keys() == before


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_s_sqlite_store_holds_the_same_curve(tmp_path: Path) -> None:
    track(tmp_path, mlflow=True)
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mirrors/mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("finscale").experiment_id])
    history = client.get_metric_history(run.info.run_id, "validation/loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.69), (2, 0.66), (3, 0.67)]
    assert run.data.params["budget"] == "100000"
    assert run.info.status == "FINISHED"


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
@pytest.mark.filterwarnings("ignore")
def test_wandb_offline_writes_its_files_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    track(tmp_path, wandb=True)
    (log,) = (tmp_path / "mirrors/wandb").glob("offline-run-*/run-*.wandb")
    content = log.read_bytes()
    assert content.count(b"validation/loss") >= len(EPOCHS)
    assert b"best_epoch" in content


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed")
@pytest.mark.filterwarnings("ignore")
def test_a_mirror_that_fails_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nosuchstore://here")
    track(tmp_path, mlflow=True)
    assert capsys.readouterr().out.count("MlflowMirror failed and is left out from here on") == 1
    assert curve(tmp_path, "train/loss") == [0.7, 0.65, 0.6]
