"""Losses by epoch beside the ledger, and the compute frontier L(C) that they carry."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.scaling.epochs import epochs_path, epochs_table, frontier_of, frontier_told, read_epochs
from finscale.scaling.results import load_experiment_results
from finscale.storage import write_csv

EXPONENT = 0.05


@pytest.fixture
def pilot() -> pd.DataFrame:
    """The ladder as if each size had trained for 30 epochs."""
    results = load_experiment_results(Path("results/ledger.csv"))
    runs = results[results["experiment"] == "bundled-Aa-daily-a20-threshold_1pct-h5"]
    return runs.assign(train_flops=runs["train_flops"] / runs["epochs_run"] * 30, epochs_run=30)


def write_planted(folder: Path, runs: pd.DataFrame) -> None:
    """The best loss for FLOPs C is 2 C^-EXPONENT, reached by the size whose tenth epoch ends there."""
    rng, epoch = np.random.default_rng(0), np.arange(1, 31)
    for row in runs.to_dict("records"):
        flops = row["train_flops"] / 30 * epoch
        loss = 2 * flops**-EXPONENT * (1 + 0.02 * np.log(epoch / 10) ** 2) * np.exp(rng.normal(scale=5e-4, size=30))
        write_csv(epochs_path(folder, row["key"]),
                  pd.DataFrame({"epoch": epoch, "train_loss": loss, "validation_loss": loss}))  # fmt: skip


def test_the_frontier_has_the_planted_exponent_and_counts_flops_by_epoch(pilot: pd.DataFrame, tmp_path: Path) -> None:
    write_planted(tmp_path, pilot)
    found = frontier_of(pilot, tmp_path)
    assert found.exponent == pytest.approx(EXPONENT, abs=0.004)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.exponent < found.high
    assert found.status == "converged"
    assert found.points["params"].nunique() == 5
    ends = np.unique(np.outer(pilot["train_flops"] / 30, np.arange(1, 31)).ravel())
    nearest = np.abs(np.log(found.points["flops"].to_numpy()[:, None] / ends)).min(axis=1)
    assert nearest.max() < 0.01  # seeds of a size are averaged: all their FLOPs are those of an epoch
    told = frontier_told(pilot, tmp_path)
    assert f"FLOPs ^ -{found.exponent:.4f} (" in told["words"]
    assert told["points"]["flops"] == found.points["flops"].tolist()


def test_compute_is_told_by_windows_and_begins_with_pretraining(pilot: pd.DataFrame, tmp_path: Path) -> None:
    """Validated after 1, 3 and 10 tenths of the windows, of which as many again were spent on pretraining."""
    for row in pilot.to_dict("records"):
        loss = 2 * row["params_total"] ** -0.1 * np.array([1.2, 1.1, 1.0])
        write_csv(epochs_path(tmp_path, row["key"]), pd.DataFrame(
            {"epoch": [1, 2, 3], "train_loss": loss, "validation_loss": loss, "windows_seen": [100, 300, 1000]}
        ))  # fmt: skip
    flops = pilot.groupby("params_total")["train_flops"].mean().to_numpy()
    told = frontier_of(pilot.assign(epochs_run=3, pretrain_windows=1000), tmp_path).points["flops"].to_numpy()
    ends = np.outer(flops, (0.55, 0.65, 1.0)).ravel()
    assert np.abs(np.log(told[:, None] / ends)).min(axis=1).max() < 0.02


def test_windows_seen_are_read_from_the_log_where_it_has_them() -> None:
    losses, windows = b"step\tloss\n1\t0.7\n2\t0.6\n2\t0.5\n", b"step\twindows_seen\n1\t50\n2\t90\n"
    assert list(epochs_table(losses, losses)) == ["epoch", "train_loss", "validation_loss"]
    table = epochs_table(losses, losses, windows)
    assert table["windows_seen"].tolist() == [50, 90]
    assert table["validation_loss"].tolist() == [0.7, 0.5]


def test_a_curve_whose_epochs_were_not_all_kept_has_no_frontier_and_says_so(
    pilot: pd.DataFrame, tmp_path: Path
) -> None:
    write_planted(tmp_path, pilot.iloc[1:])
    said = f"losses per epoch were kept of {len(pilot) - 1} of {len(pilot)} runs"
    assert frontier_told(pilot, tmp_path) == {"refused": said, "words": f"No compute frontier L(C): {said}."}
    assert "first fold only" in frontier_told(pilot.assign(scheme="rolling-10+1+1+1y"), tmp_path)["words"]
    assert "0 of 0 runs" in frontier_told(pilot.head(0), tmp_path)["words"]


@pytest.mark.parametrize("text", ["epoch,loss\n1,0.5\n", "epoch,train_loss,validation_loss\n1,0.6,0.6\n3,0.5,0.5\n",
                                  "epoch,train_loss,validation_loss\n1,0.6,0.6\n2,0.5,\n"])  # fmt: skip
def test_a_table_of_other_epochs_is_named_with_the_way_out(text: str, tmp_path: Path) -> None:
    path = tmp_path / "0123.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"0123\.csv: no table of .* for each of 2 epochs; delete it"):
        read_epochs(path, 2)
