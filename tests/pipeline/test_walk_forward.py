"""Walk-forward by the real stages: three folds on the real S&P 500, killed between and within folds, and resumed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from finscale.data.labels import label
from finscale.indicators.catalogue import compute, drop_warmup

ROOT = Path(__file__).parents[2]
FOLDS = ("2016", "2017", "2018")
WALK = {"window": "rolling", "train_years": 3, "first_test": {"bundled": 2016, "live": 2016}}


class Workspace:
    """A folder with the code, the settings of a short walk-forward, and features, labels and bars of the S&P 500."""

    def __init__(self, path: Path, tables: dict[str, pd.DataFrame]) -> None:
        self.path, self.scratch = path, path / "scratch"
        for folder in ("finscale", "stages"):
            shutil.copytree(ROOT / folder, path / folder, ignore=shutil.ignore_patterns("__pycache__"))
        params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"budget": "10K"}
        params["evaluation"] = {"scheme": "walk_forward", "walk_forward": params["evaluation"]["walk_forward"] | WALK}
        params["train"] |= {"epochs": 2, "learning_rate": 0.003}
        params["train"]["checkpoint"] = {"every_epochs": 5, "every_steps": 2, "keep": 3}
        params["evaluate"] |= {"resamples": 100}
        params["baselines"] |= {"catboost_iterations": 10}
        (path / "params.yaml").write_text(yaml.safe_dump(params))
        for name, table in tables.items():
            file = path / f"data/{name}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            table.to_parquet(file)

    def start(self, stage: str) -> subprocess.Popen:
        environment = os.environ | {"FINSCALE_SCRATCH": str(self.scratch), "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", f"stages.{stage}"], cwd=self.path, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *stages: str) -> str:
        told = ""
        for stage in stages:
            process = self.start(stage)
            told += process.communicate(timeout=300)[0]
            assert process.returncode == 0, told
        return told

    def kill_training_in(self, fold: str, after_step: int) -> None:
        """SIGKILL once the fold has saved a state from `after_step` on; 0: as soon as it has begun."""
        process = self.start("train")
        while f"fold {fold}," not in process.stdout.readline():
            assert process.poll() is None, f"training ended before fold {fold}"
        known = self.states()
        while process.poll() is None and self.newest_step(known) < after_step:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL

    def states(self) -> set[Path]:
        return set(self.scratch.glob("*/step-*"))

    def newest_step(self, known: set[Path]) -> int:
        return max((int(folder.name.removeprefix("step-")) for folder in self.states() - known), default=0)

    def read(self, path: str) -> bytes:
        return (self.path / path).read_bytes()

    def results(self) -> dict[str, bytes]:
        """Every output but the measured time."""
        return self._made("data", "models", "dvclive", "metrics", "plots")

    def trained(self) -> dict[str, bytes]:
        """What `train` leaves, but for the measured time: what later stages make is a function of it."""
        made = self._made("models", "dvclive")
        return {name: content for name, content in made.items() if not name.startswith("models/calibration")}

    def _made(self, *folders: str) -> dict[str, bytes]:
        files = [file for folder in folders for file in sorted((self.path / folder).rglob("*")) if file.is_file()]
        named = {str(file.relative_to(self.path)): file.read_bytes() for file in files}
        del named["models/runtime.json"]
        return named


@pytest.fixture(scope="module")
def tables(bars: pd.DataFrame) -> dict[str, pd.DataFrame]:
    recent = bars.loc["2009-06-01":]
    features = drop_warmup(compute(recent, "a20"), "SP500").reset_index().assign(asset="SP500")
    return {
        "interim/features": features,
        "interim/bars": recent.reset_index().assign(asset="SP500"),
        "processed/labels": label(recent, "threshold_1pct", 5).assign(asset="SP500"),
    }


@pytest.fixture(scope="module")
def finished(tables: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("straight"), tables)
    workspace.run("dataset", "baselines", "train", "predict", "evaluate")
    return workspace


def test_every_fold_is_trained_and_their_test_days_are_one_result(finished: Workspace) -> None:
    predictions = pd.read_parquet(finished.path / "data/processed/predictions.parquet")
    test = predictions[predictions["split"] == "test"]
    assert not test.duplicated(["date", "asset"]).any()
    assert test.groupby("fold")["date"].agg(lambda days: set(days.dt.year)).to_dict() == {
        fold: {int(fold)} for fold in FOLDS
    }
    labels = pd.read_parquet(finished.path / "data/processed/labels.parquet").dropna()
    assert test["date"].tolist() == labels.loc[labels["date"] >= "2016", "date"].tolist()
    experiment = json.loads(finished.read("metrics/experiment.json"))
    assert experiment["axes"]["scheme"] == "rolling-3+1+1+1y-embargo5-from2016"
    assert experiment["test_rows"] == len(test)
    assert experiment["scores"]["models"]["model"]["loss"]["value"] == pytest.approx(log_loss(test))
    assert [fold["fold"] for fold in experiment["folds"]] == list(FOLDS)
    assert experiment["run"]["train_flops"] > 0


def log_loss(rows: pd.DataFrame) -> float:
    return float(-np.log(np.where(rows["label"] == 1, rows["model"], 1 - rows["model"])).mean())


def test_each_year_is_judged_against_the_base_rate_known_before_it(finished: Workspace) -> None:
    predictions = pd.read_parquet(finished.path / "data/processed/predictions.parquet")
    years = pd.read_csv(finished.path / "plots/by_year.csv")
    assert years["year"].tolist() == [2016, 2017, 2018]
    for fold, year in zip(FOLDS, years.to_dict("records"), strict=True):
        path = "development.parquet" if fold == FOLDS[0] else f"development_folds/{fold}.parquet"
        rows = pd.read_parquet(finished.path / "data/processed" / path)
        train, test = rows[rows["split"] == "train"], predictions[predictions["fold"] == fold]
        assert train["exit"].max() < pd.Timestamp(int(fold) - 2, 1, 1)
        assert test["base_rate"].unique() == pytest.approx([train["label"].mean()])
        assert year["base_rate"] == pytest.approx(train["label"].mean())
        assert year["loss"] == pytest.approx(log_loss(test[test["split"] == "test"]))
        assert year["skill_low"] < year["skill"] < year["skill_high"]
    assert json.loads(finished.read("metrics/experiment.json"))["by_year"] == years.to_dict("records")


def test_an_evaluation_is_done_again_without_weights_or_test_features(finished: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, {})
    shutil.copytree(finished.path, tmp_path, dirs_exist_ok=True)
    for pattern in ("models/**/*.safetensors", "data/processed/test.parquet", "data/processed/test_folds/*.parquet"):
        gone = list(tmp_path.glob(pattern))
        assert gone
        for path in gone:
            path.unlink()
    for path in (tmp_path / "data/processed/predictions.parquet", *(tmp_path / "metrics").glob("[!r]*")):
        if path.name != "dataset.json":
            path.unlink()
    workspace.run("evaluate")
    before, after = finished.results(), workspace.results()
    assert {"data/processed/predictions.parquet", "metrics/daily_losses.parquet"} <= set(after) <= set(before)
    assert all(before[name] == after[name] for name in after)


def test_killed_within_and_between_folds_it_goes_on_with_the_same_bytes(
    finished: Workspace, tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path, tables)
    workspace.run("dataset")
    workspace.kill_training_in(FOLDS[0], after_step=10)
    workspace.kill_training_in(FOLDS[1], after_step=0)
    workspace.kill_training_in(FOLDS[2], after_step=30)
    told = workspace.run("train")
    steps = [json.loads(workspace.read(f"models/{name}.json"))["run"]["steps"]
             for name in ("model", "model_folds/2017", "model_folds/2018")]  # fmt: skip
    gone_on = [int(step) for step in re.findall(r"goes on after step (\d+)", told)]
    assert gone_on[:2] == steps[:2]  # these folds were over: not one step was repeated
    assert 0 < gone_on[2] < steps[2]
    assert not workspace.states()
    assert workspace.trained() == finished.trained()
    assert "models/model_folds/2018.safetensors" in finished.trained()


@pytest.mark.slow
def test_a_fold_s_model_does_not_know_what_came_after_it(
    finished: Workspace, tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    scrambled = {}
    for name, table in tables.items():
        later = (table["date"] > "2015-12-31").to_numpy()  # the end of what the first fold learns from
        numbers = [column for column in table.select_dtypes("number") if column != "last_known"]
        moved = table.copy()
        for column in numbers:
            moved.loc[later, column] = rng.permutation(moved.loc[later, column].to_numpy())
        scrambled[name] = moved
    workspace = Workspace(tmp_path, scrambled)
    workspace.run("dataset", "baselines", "train", "predict", "evaluate")
    for file in ("models/model.safetensors", "models/model.json", "models/calibration.json"):
        assert workspace.read(file) == finished.read(file)
    last = "models/calibration_folds/2018.json"  # fitted on days that were scrambled
    assert workspace.read(last) != finished.read(last)


@pytest.mark.slow
def test_back_to_a_single_split_nothing_of_the_folds_is_left(
    finished: Workspace, tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path, tables)
    shutil.copytree(finished.path, tmp_path, dirs_exist_ok=True)
    params = yaml.safe_load(workspace.read("params.yaml"))
    params["evaluation"]["scheme"] = "single"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    workspace.run("dataset", "baselines", "train", "predict", "evaluate")
    assert not [name for name in workspace.results() if "folds/" in name and not name.endswith("README")]
    assert "fold" not in pd.read_parquet(tmp_path / "data/processed/predictions.parquet")
