"""DVC's queue, the ledger that is collected from it, and the curve."""

import json
import time

import pandas as pd
import pytest

from finscale.scaling.daily import daily_path, read_daily
from finscale.scaling.ledger import read_ledger
from tests.pipeline.conftest import Workspace

pytestmark = pytest.mark.xdist_group("finished")


def test_a_ladder_of_the_queue_and_of_a_phase_becomes_one_curve(clone: Workspace) -> None:
    clone.run("dvc", "exp", "run", "--queue", "--name", "queued", "-S", "budget=12K", "evaluate")
    work_off_queue(clone)
    clone.run("python", "-m", "study.collect")
    ladder = ("python", "-m", "study.phase", "pilot", "--budgets", "10K", "12K", "--seeds", "0", "--jobs", "2")
    told = clone.run(*ladder)
    assert "phase pilot, expected: On one index" in told
    assert "1 of 2 runs to do" in told  # the queue has made the other
    ledger = pd.read_csv(clone.path / "results/ledger.csv")
    assert sorted(ledger["budget"]) == ["10K", "12K"]
    assert ledger["key"].is_unique
    counted = ledger["params_embedding"] + ledger["params_body"] + ledger["params_head"]
    assert (counted == ledger["params_total"]).all()
    clone.run("dvc", "repro", "scaling")
    assert json.loads(clone.read("metrics/scaling.json"))["sizes"] == 2
    assert len(pd.read_csv(clone.path / "plots/scaling_curve.csv")) == 2
    assert "**pilot.** On one index" in clone.read("reports/experiments.md")

    collected = clone.read("results/ledger.csv")
    assert "2 finished experiments, 0 new, 2 rows" in clone.run("python", "-m", "study.collect")
    assert "0 of 2 runs to do" in clone.run(*ladder)  # nothing is run twice
    assert clone.read("results/ledger.csv") == collected

    shown = clone.run("python", "-m", "study.show")
    assert "pilot-10K-s0" in shown
    clone.run("dvc", "plots", "diff", *names(clone))
    page = clone.read("dvc_plots/index.html")
    assert "cdn.jsdelivr.net" not in page
    assert '"type": "log"' in page
    assert "pilot-10K-s0" in page


def work_off_queue(clone: Workspace) -> None:
    """Start a worker and wait for the queue to be empty. One in a dozen workers loses its message: then another."""
    for _ in range(3):
        clone.run("sh", "-c", "dvc queue start -j 1 > queue.log 2>&1")
        started = time.monotonic()
        while time.monotonic() - started < 60:
            states = clone.run("dvc", "queue", "status")
            if not any(word in states for word in ("Queued", "Running")):
                return
            started = time.monotonic() if "Running" in states else started
            time.sleep(2)
    raise AssertionError("the queue's workers start nothing")


def names(clone: Workspace) -> list[str]:
    return clone.run("dvc", "exp", "list", "--name-only").split()


@pytest.mark.slow
def test_a_phase_runs_what_the_ledger_lacks(clone: Workspace) -> None:
    phase = ("python", "-m", "study.phase", "1", "--budgets", "12K", "--seeds", "0", "--set", "source=bundled",
             "tier=a20", "train.epochs=1")  # fmt: skip
    assert "1 of 1 runs to do" in clone.run(*phase, "--dry")
    assert "1 of 1 runs to do" in clone.run(*phase)
    ledger = pd.read_csv(clone.path / "results/ledger.csv")
    assert ledger[["budget", "task"]].to_numpy().tolist() == [["12K", "direction"]]
    assert "0 of 1 runs to do" in clone.run(*phase)
    failing = clone.run(*phase[:-1], "train.epochs=0", ok=False)
    assert "error: 1 of 1 runs failed" in failing
    assert "train.epochs = 0" in failing  # the stage's own words
    assert len(pd.read_csv(clone.path / "results/ledger.csv")) == 1


@pytest.mark.slow
def test_an_experiment_run_to_an_earlier_stage_leaves_nothing_to_the_ledger(clone: Workspace) -> None:
    # The committed results lie in its tree: those of another task and tier.
    clone.run("dvc", "exp", "run", "--temp", "-n", "part", "-S", "task=direction", "-S", "tier=a50", "label")
    told = clone.run("python", "-m", "study.collect")
    assert 'part left out: evaluate did not run with task = "direction"' in told
    assert "0 new" in told
    dry = ("python", "-m", "study.phase", "1", "--budgets", "10K", "--seeds", "0", "--set", "source=bundled", "--dry")
    assert "1 of 1 runs to do" in clone.run(*dry)


@pytest.mark.slow
def test_a_run_of_two_epochs_is_on_a_curve_of_its_own(clone: Workspace) -> None:
    clone.run("dvc", "exp", "run", "--temp", "-n", "usual")
    clone.run("dvc", "exp", "run", "--temp", "-n", "short", "-S", "train.epochs=1")
    clone.run("python", "-m", "study.collect")
    said = clone.run("python", "-m", "stages.scaling")
    assert "1 runs of bundled-Aa-daily-a20-threshold_1pct-h5;" in said
    assert "Settings of its own: train.epochs=1." in clone.read("reports/experiments.md")
    for row in read_ledger(clone.path / "results/ledger.csv").to_dict("records"):
        path = daily_path(clone.path / "results/daily", row["key"])
        assert len(read_daily(path, row["test_loss"], row["test_rows"])) == row["test_rows"]  # one asset
