"""From a finished DVC experiment to the stage's verdict: what is taken out of runs, pinned, joined and written."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from finscale.errors import InputError
from finscale.meta.made_on import check_made_on, made_on
from finscale.storage import read_json, read_parquet, write_json, write_parquet
from stages import configure, meta
from study import base_runs
from tests.unit.meta_market import bars, base_run, features, labels, out_of_sample, predictions

ROOT = Path(__file__).parents[2]
AXES = {"source": "simulated", "assets": "A", "quality": "a", "tier": "a20", "task": "direction", "horizon": 1,
        "budget": "10K", "seed": 0}  # fmt: skip
PIPELINE = {"stages": {"evaluate": {
    "cmd": "mkdir -p data/processed && cp found.parquet data/processed/predictions.parquet",
    "deps": ["found.parquet"],
    "outs": ["data/processed/predictions.parquet"],
}}}  # fmt: skip


def command(*words: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(words, check=True, capture_output=True, env=os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1"})


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with a finished DVC experiment whose predictions lie in its cache, and nowhere else."""
    folder = tmp_path_factory.mktemp("experiments")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in (("git", "init", "-q"), ("git", "config", "user.email", "tests@localhost"),
                      ("git", "config", "user.name", "tests"), ("dvc", "init", "-q")):  # fmt: skip
            command(*words)
        write_parquet(Path("found.parquet"), out_of_sample(predictions(market(), "daily")))
        write_json(Path("metrics/experiment.json"), {"axes": AXES | {"timescale": "daily"}})
        Path("params.yaml").write_text(yaml.safe_dump(params()))
        Path(".gitignore").write_text("/data/\n")
        Path("dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
        command("git", "add", "-A")
        command("git", "commit", "-q", "-m", "baseline")
        command("dvc", "exp", "run", "-q", "-n", "run-daily")
        command("dvc", "exp", "run", "-q", "-f", "-n", "run-older", "-S", "data.end=2024-12-31")
        Path("data/processed/predictions.parquet").unlink()
        base_runs.take("run-daily", None)
        yield folder


@pytest.fixture
def workspace(experiments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stage reads: that run and one on weekly bars, and features and labels of the same market."""
    shutil.copytree(experiments / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    rows = base_run(market(), "weekly").rows
    first, last = (f"{day:%Y-%m-%d}" for day in (rows["date"].min(), rows["date"].max()))
    about = {"run": "run-weekly", "rows": len(rows), "first": first, "last": last, "made_on": made_on(params())}
    write_parquet(meta.BASE_RUNS / "run-weekly.parquet", rows)
    write_json(meta.BASE_RUNS / "run-weekly.json", about | {"axes": AXES | {"timescale": "weekly"}})
    write_parquet(meta.FEATURES, features(market()))
    write_parquet(meta.LABELS, labels(market()))
    return tmp_path


def run_stage() -> None:
    """With the settings that `configure` hands on."""
    write_json(meta.META, configure.meta(yaml.safe_load(Path("params.yaml").read_text())))
    meta.main()


def market() -> pd.DataFrame:
    return bars(market="planted", signal=1.0, complexity=2)


def params() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    return values | {"source": "simulated", "task": "direction", "horizon": 1}


def set_params(**changes: object) -> None:
    values = params()
    values["evaluate"]["resamples"] = 200
    values["meta"] |= {"iterations": 60, "depth": 3, "learning_rate": 0.1, "step_days": 250} | changes
    Path("params.yaml").write_text(yaml.safe_dump(values))


def test_a_run_is_pinned_without_its_labels(workspace: Path) -> None:
    about, rows = read_json(meta.BASE_RUNS / "run-daily.json"), read_parquet(meta.BASE_RUNS / "run-daily.parquet")
    assert list(rows) == ["date", "asset", "prediction", "known_until"]
    assert about["axes"]["timescale"] == "daily"
    assert about["column"] == "calibrated_none"
    assert len(about["commit"]) == 40
    assert (rows["known_until"] < rows["date"]).all()


def test_the_stage_goes_from_runs_to_a_verdict_and_repeats_to_the_last_bit(workspace: Path) -> None:
    set_params(runs=["run-daily", "run-weekly"], features=["return_1"])
    run_stage()
    first = meta.PREDICTIONS.read_bytes(), meta.METRICS.read_bytes()
    run_stage()
    assert (meta.PREDICTIONS.read_bytes(), meta.METRICS.read_bytes()) == first
    found, tested = read_json(meta.METRICS), read_parquet(meta.PREDICTIONS)
    assert found["inputs"] == ["run-daily", "run-weekly", "return_1"]
    # The weekly run predicts another label: it is an input, and no rival.
    assert set(found["verdict"]) == {"run-daily", "average", "best_input", "base_rate"}
    assert found["verdict"]["base_rate"] == "better"
    assert found["rows"] == len(tested)
    assert (tested["known_until"] < tested["date"]).all()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda one: one.with_suffix(".json").write_text("<<<<<<< HEAD\n"), "line 1: no JSON"),
        (lambda one: one.with_suffix(".json").write_text('{"run": "run-daily", "rows": 3}'), "first: Field required"),
        (lambda one: shutil.copy(one.with_name("run-weekly.json"), one.with_suffix(".json")), "is of run run-weekly"),
        (lambda one: shutil.copy(one.with_name("run-weekly.parquet"), one), "its rows are not the"),
        (lambda one: one.write_bytes(one.read_bytes()[:-9]), "no parquet file can be read there"),
        (lambda one: pd.read_parquet(one).assign(prediction=np.inf).to_parquet(one), "no finite number"),
        (lambda one: pd.read_parquet(one).assign(more=1).to_parquet(one), "its columns are"),
    ],
    ids=["merged", "cut", "other run", "other rows", "half", "infinite", "more columns"],
)
def test_a_base_run_that_is_not_what_it_says_is_refused(
    harm: Callable[[Path], object], said: str, workspace: Path
) -> None:
    meta.read_stored(meta.BASE_RUNS, "run-daily")
    harm(meta.BASE_RUNS / "run-daily.parquet")
    with pytest.raises(InputError, match=said):
        meta.read_stored(meta.BASE_RUNS, "run-daily")


def test_a_planted_leak_stops_the_stage_and_keeps_the_earlier_result(workspace: Path) -> None:
    set_params(runs=["run-daily"])
    run_stage()
    before = meta.METRICS.read_bytes()
    set_params(runs=["run-daily"], features=["planted"])
    known = read_parquet(meta.LABELS)[["date", "asset", "label"]].rename(columns={"label": "planted"})
    write_parquet(meta.FEATURES, read_parquet(meta.FEATURES).merge(known, on=["date", "asset"]))
    with pytest.raises(InputError, match="inputs that know a label before its exit: planted"):
        run_stage()
    # In-sample predictions, slipped in where the pinned ones were.
    pinned = meta.BASE_RUNS / "run-daily.parquet"
    write_parquet(pinned, read_parquet(pinned).assign(known_until=pd.Timestamp("2020-06-30")))
    set_params(runs=["run-daily"])
    with pytest.raises(InputError, match=r"base run run-daily: \d+ predictions are in-sample"):
        run_stage()
    assert meta.METRICS.read_bytes() == before


def test_without_runs_it_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    set_params()
    run_stage()
    assert read_json(meta.METRICS) == {"inputs": []}
    assert read_parquet(meta.PREDICTIONS).empty


def test_runs_that_do_not_exist_or_fit_are_errors(
    workspace: Path, experiments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_params(runs=["no-such-run"])
    with pytest.raises(InputError, match=r"results/base_runs/no-such-run.json: no such file; .*study.base_runs"):
        run_stage()
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["meta"]["runs"] = ["run-daily"]
    Path("params.yaml").write_text(yaml.safe_dump(values | {"source": "bundled"}))
    with pytest.raises(InputError, match="run run-daily was made on source = simulated, but params"):
        run_stage()
    monkeypatch.chdir(experiments)
    with pytest.raises(InputError, match="0 finished experiments are called no-such-run; `dvc exp list"):
        base_runs.take("no-such-run", None)
    with pytest.raises(InputError, match="run-daily: its predictions lack the column catboost"):
        base_runs.take("run-daily", "catboost")


def test_runs_of_one_command_agree_in_what_they_were_made_on(
    experiments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(experiments)
    base_runs.check_alike(["run-daily"])
    message = r"run run-older was made on data\.end = 2024-12-31, but run run-daily is on data\.end = 2025-12-31;"
    with pytest.raises(InputError, match=message):
        base_runs.check_alike(["run-daily", "run-older"])


def test_a_run_of_other_dates_or_markets_than_the_experiment_s_is_refused(workspace: Path) -> None:
    set_params(runs=["run-daily"])
    ours = yaml.safe_load(Path("params.yaml").read_text())
    for block, key, value in (("data", "start", "2000-01-01"), ("data", "end", "2024-12-31")):
        Path("params.yaml").write_text(yaml.safe_dump(ours | {block: ours[block] | {key: value}}))
        with pytest.raises(
            InputError, match=rf"run run-daily was made on data\.{key} = .* data\.{key} = {value}; take"
        ):
            run_stage()
    simulated = ours["data"]["simulated"] | {"signal": 1.0}
    Path("params.yaml").write_text(yaml.safe_dump(ours | {"data": ours["data"] | {"simulated": simulated}}))
    with pytest.raises(InputError, match=r"made on data\.simulated\.signal = 0\.5, but params\.yaml is on .* = 1;"):
        run_stage()
    about = meta.BASE_RUNS / "run-daily.json"
    write_json(about, {key: value for key, value in read_json(about).items() if key != "made_on"})
    with pytest.raises(InputError, match=r"does not say what the run was made on; .*study\.base_runs run-daily` takes"):
        run_stage()


def test_labels_on_closes_and_on_highs_are_not_mixed_among_thresholds() -> None:
    def run(task: str, price: str) -> dict[str, Any]:
        return made_on(params() | {"task": task, "label": {"price": price}})

    close, high = run("threshold_1pct", "close"), run("threshold_2pct", "high")
    with pytest.raises(
        InputError, match=r"run a was made on label\.price = close, but run b is on label\.price = high"
    ):
        check_made_on("a", close, "run b", high, "")
    check_made_on("a", run("direction", "close"), "run b", high, "")  # a direction has no such choice
