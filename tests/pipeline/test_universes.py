"""A panel from its symbols to the ledger: a part of it trains, and another part is a second test."""

import json

import pandas as pd
import pytest

from finscale.data.selection import drawn
from finscale.evaluation.day_file import read_day_file
from tests.pipeline.conftest import Workspace

PANEL = {
    "source": "simulated", "assets": "all", "symbols": 4, "history": 3, "task": "volatility", "data.end": "2025-12-31",
    "data.simulated.symbols": 8, "data.simulated.sessions": 2500, "universe.unseen": 0.25,
}  # fmt: skip


@pytest.mark.slow
def test_what_never_trains_is_tested_beside_what_did_and_reaches_the_ledger(clone: Workspace) -> None:
    settings = [word for key, value in PANEL.items() for word in ("-S", f"{key}={value}")]
    clone.run("dvc", "exp", "run", "-n", "panel", *settings, "evaluate")
    development = pd.read_parquet(clone.path / "data/processed/development.parquet")
    predictions = pd.read_parquet(clone.path / "data/processed/predictions.parquet")
    order = drawn([f"SIM{number:03d}" for number in range(1, 9)], seed=0)
    assert set(development["asset"]) == set(order[:4])
    by_split = {split: set(own["asset"]) for split, own in predictions.groupby("split")}
    assert by_split["unseen"] == set(order[6:])
    assert by_split["test"] == by_split["calibration"] == set(order[:4])
    test, unseen = (predictions[predictions["split"] == split] for split in ("test", "unseen"))
    assert set(unseen["date"]) == set(test["date"])

    told, experiment = (json.loads(clone.read(f"metrics/{name}.json")) for name in ("evaluate", "experiment"))
    errors = (unseen["label"] - unseen["model"]) ** 2
    assert told["unseen"]["symbols"] == 2
    assert told["unseen"]["rows"] == len(unseen)
    assert told["unseen"]["loss"] == pytest.approx(errors.mean())
    assert told["unseen"]["loss_low"] < errors.mean() < told["unseen"]["loss_high"]
    assert told["unseen"]["har_loss"] == pytest.approx(((unseen["label"] - unseen["har"]) ** 2).mean())
    assert experiment["train_symbols"] == 4
    assert experiment["run"]["train_windows"] == (development["split"] == "train").sum()

    clone.run("python", "-m", "study.collect")
    row = pd.read_csv(clone.path / "results/ledger.csv", dtype=str).iloc[-1]
    assert (row["assets"], row["symbols"], row["history"]) == ("all", "4", "3")
    assert float(row["unseen_loss"]) == pytest.approx(errors.mean())
    assert int(row["train_windows"]) == experiment["run"]["train_windows"]
    days = read_day_file(clone.path / f"results/daily/{row['key']}-unseen.parquet")
    assert days["rows"].sum() == len(unseen)
    assert (days["model"] * days["rows"]).sum() / len(unseen) == pytest.approx(errors.mean(), rel=1e-3)
