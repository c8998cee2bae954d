"""DVCLive always; MLflow and W&B for real where they are installed; a failing mirror stops nothing."""

import importlib.util
import json
import socket
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file

from finscale.config import load_params
from finscale.scaling.ledger import AXES
from finscale.storage import md5_of
from finscale.training import mirrors
from finscale.training.config import TrackingConfig
from finscale.training.mirrors import Record, add_results
from finscale.training.prediction import predict
from finscale.training.progress import Epoch
from finscale.training.run import Files, Run
from finscale.training.tracking import SAMPLE, Tracker, sample_predictions
from finscale.training.use import UseMeter
from stages.train import Params
from tests.unit.test_training import COMPUTE, TARGET, VALIDATION, trained

EPOCHS = [
    Epoch(1, 32, 0.7, 0.69, 1e-4, True),
    Epoch(2, 64, 0.65, 0.66, 9e-5, True),
    Epoch(3, 80, 0.6, 0.67, 5e-5, False),
]
SETTINGS = {
    "budget": 100_000, "task": "direction", "seed": 3, "batch_size": 32, "micro_batch": None,
    "model": {"dropout": 0.1}, "betas": [0.9, 0.999], "data_md5": "0123abcd",
}  # fmt: skip
SUMMARY = {"params_total": 99_625, "micro_batch": 32, "windows_per_second": 1060.0, "cpu_cores": 0.99}
TEST = {"test_loss": 0.571, "test_loss_low": 0.513, "test_loss_high": 0.633, "collapsed": False}
needs_mlflow = pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed")
needs_wandb = pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")


def start(folder: Path, **on: bool) -> Tracker:
    folder.mkdir(exist_ok=True)
    return Tracker(
        folder / "dvclive", "direction-100K-3", SETTINGS, TrackingConfig(**on), folder / "mirrors", COMPUTE.device
    )


def record(folder: Path) -> Record:
    weights = folder / "model.safetensors"
    save_file({"w": torch.arange(3.0)}, weights)
    best = {"epoch": 2, "validation_loss": 0.66, "file": weights.name, "md5": md5_of(weights)}
    return Record(SUMMARY, best, pd.DataFrame({"date": ["2015-12-31"], "label": [1.0], "logit": [0.25]}))


def track(folder: Path, **on: bool) -> Record:
    tracker = start(folder, **on)
    for epoch in EPOCHS:
        until = UseMeter(COMPUTE.device)
        while not until.read():
            torch.randn(200, 200) @ torch.randn(200, 200)
        tracker.log(epoch)
    tracker.finish(complete := record(folder))
    return complete


def written(log: Path, last: str) -> bytes:
    """The file's bytes once `last` is among them: W&B's own process writes on for a moment after a run is finished."""
    ends = time.monotonic() + 20
    while last.encode() not in (content := log.read_bytes()) and time.monotonic() < ends:
        time.sleep(0.05)
    return content


def curve(folder: Path, name: str) -> list[float]:
    return pd.read_csv(folder / f"dvclive/plots/metrics/{name}.tsv", sep="\t").iloc[:, -1].tolist()


def test_dvclive_has_settings_epochs_best_checkpoint_and_predictions_and_no_mirror_is_imported(tmp_path: Path) -> None:
    before = {"mlflow", "wandb"} & sys.modules.keys()
    complete = track(tmp_path)
    log = tmp_path / "dvclive"
    assert curve(tmp_path, "validation/loss") == [0.69, 0.66, 0.67]
    assert curve(tmp_path, "learning_rate") == [1e-4, 9e-5, 5e-5]
    assert curve(tmp_path, "windows_seen") == [32, 64, 80]
    assert json.loads((log / "metrics.json").read_text())["step"] == 3
    assert yaml.safe_load((log / "params.yaml").read_text()) == SETTINGS
    assert json.loads((log / "best.json").read_text()) == complete.best
    assert pd.read_csv(log / "predictions.csv")["logit"].tolist() == [0.25]
    assert {"mlflow", "wandb"} & sys.modules.keys() == before


def test_every_axis_of_an_experiment_is_logged(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"rows")
    files = Files(tmp_path / "rows", tmp_path, tmp_path, tmp_path)
    told = Run("key", "name", load_params(Params), COMPUTE, files, tmp_path).told()
    assert {*AXES, "data_md5", "batch_size"} <= told.keys()
    assert (told["source"], told["tier"]) == ("bundled", "a20")
    assert "tracking" not in told


def test_nothing_measured_is_in_dvclive(tmp_path: Path) -> None:
    """Its hash is compared between repeats: two runs of unlike speed leave the same bytes."""
    track(tmp_path / "first")
    tracker = start(tmp_path / "second")
    for epoch in EPOCHS:
        tracker.log(epoch)
    tracker.finish(record(tmp_path / "second"))
    first, second = (
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        for folder in (tmp_path / "first/dvclive", tmp_path / "second/dvclive")
    )
    assert first == second


def test_the_sample_is_the_model_s_output_for_the_last_validation_days() -> None:
    network, _, _ = trained()
    sample = sample_predictions(network, VALIDATION, TARGET, COMPUTE)
    assert sample["date"].tolist() == VALIDATION.keys["date"].tolist()[-SAMPLE:]
    assert sample["label"].tolist() == VALIDATION.label[-SAMPLE:].tolist()
    assert sample["logit"].to_numpy() == pytest.approx(predict(network, VALIDATION, COMPUTE)[-SAMPLE:], abs=1e-5)


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_s_sqlite_store_holds_all_that_is_logged(tmp_path: Path) -> None:
    complete = track(tmp_path, mlflow=True)
    add_results(tmp_path / "mirrors", complete.best["md5"], TEST)
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mirrors/mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("finscale").experiment_id])
    history = client.get_metric_history(run.info.run_id, "validation/loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.69), (2, 0.66), (3, 0.67)]
    busy = client.get_metric_history(run.info.run_id, "device/cpu_cores")
    assert len(busy) == 3
    assert all(0 < point.value <= 64 for point in busy)
    assert client.get_metric_history(run.info.run_id, "device/peak_memory_gib")[0].value > 0.1
    assert run.data.params["budget"] == "100000"
    assert (run.data.params["seed"], run.data.params["data_md5"]) == ("3", "0123abcd")
    assert run.data.params["model.dropout"] == "0.1"
    assert run.data.metrics["run/micro_batch"] == 32
    assert run.data.tags["best_checkpoint.md5"] == complete.best["md5"]
    assert {name: run.data.metrics[name] for name in TEST} == TEST
    predictions = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/predictions.csv")
    assert predictions == "date,label,logit\n2015-12-31,1.0,0.25\n"
    assert run.info.artifact_uri.startswith((tmp_path / "mirrors/artifacts").as_uri())
    assert run.info.status == "FINISHED"


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_run_that_ends_before_its_time_is_not_called_finished(tmp_path: Path) -> None:
    for failed in (False, True):
        tracker = start(tmp_path, mlflow=True)
        tracker.log(EPOCHS[0])
        tracker.stop(failed)
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mirrors/mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("finscale").experiment_id])
    assert {run.info.status for run in runs} == {"KILLED", "FAILED"}


@needs_wandb
@pytest.mark.filterwarnings("ignore")
def test_wandb_offline_writes_its_files_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    complete = track(tmp_path, wandb=True)
    (log,) = (tmp_path / "mirrors/wandb").glob("offline-run-*/run-*.wandb")
    content = written(log, complete.best["md5"])
    assert content.count(b"validation/loss") >= len(EPOCHS)
    for told in ("data_md5", "device/cpu_cores", "params_total", "best_checkpoint"):
        assert told.encode() in content, told
    (table,) = log.parent.glob("files/media/table/predictions*.json")
    assert json.loads(table.read_text())["data"] == [["2015-12-31", 1.0, 0.25]]
    add_results(tmp_path / "mirrors", complete.best["md5"], TEST)
    (added,) = set((tmp_path / "mirrors/wandb").glob("offline-run-*/run-*.wandb")) - {log}
    assert added.name == log.name  # the same run
    assert b"test_loss_high" in written(added, "test_loss_low")


def test_without_a_mirror_there_is_nothing_to_add_results_to(tmp_path: Path) -> None:
    complete = track(tmp_path)
    before = {"mlflow", "wandb"} & sys.modules.keys()
    add_results(tmp_path / "mirrors", complete.best["md5"], TEST)
    assert {"mlflow", "wandb"} & sys.modules.keys() == before
    assert not list((tmp_path / "mirrors").iterdir())


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_mirror_that_fails_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nosuchstore://here")
    complete = track(tmp_path, mlflow=True)
    told = capsys.readouterr().out
    assert told.count("mlflow failed and is left out from here on") == 2  # at the start, and at the end
    assert curve(tmp_path, "train/loss") == [0.7, 0.65, 0.6]
    assert not (tmp_path / "mirrors/mirrored" / f"{complete.best['md5']}.json").exists()


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_server_that_never_answers_costs_seconds_and_gets_the_run_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:hunter2@127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(mirrors, "STARTS", 3.0)
        began = time.monotonic()
        tracker = start(tmp_path, mlflow=True)
        for epoch in EPOCHS:
            tracker.log(epoch)
        assert time.monotonic() - began < 10
    told = capsys.readouterr().out
    assert "mlflow failed and is left out from here on: TimeoutError: no answer within 3 s" in told
    assert "hunter2" not in told
    store = f"sqlite:///{tmp_path}/back.db"  # answers again
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setattr(mirrors, "STARTS", 120.0)
    tracker.finish(record(tmp_path))
    client = importlib.import_module("mlflow").MlflowClient(store)
    [run] = client.search_runs([client.get_experiment_by_name("finscale").experiment_id])
    assert [one.value for one in client.get_metric_history(run.info.run_id, "validation/loss")] == [0.69, 0.66, 0.67]
    assert run.info.status == "FINISHED"


def test_use_is_measured_only_over_spans_that_the_clock_can_tell(tmp_path: Path) -> None:
    meter = UseMeter(COMPUTE.device)
    assert meter.read() == {}
    while not (used := meter.read()):
        torch.randn(300, 300) @ torch.randn(300, 300)
    assert 0 < used["cpu_cores"] < 64
    assert 0 <= used["machine_cpu"] <= 100
    assert 0.1 < used["peak_memory_gib"] < 1000
    assert meter.whole()["peak_memory_gib"] == pytest.approx(used["peak_memory_gib"], rel=0.1)
