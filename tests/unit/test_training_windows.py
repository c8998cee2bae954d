"""A run counted in windows: what it sees, when it is validated, how it goes on, and what it holds in memory."""

import multiprocessing
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import finscale.data.rows as rows_module
from finscale.data.rows import shared_rows
from finscale.data.windows import Windows, development_windows
from finscale.errors import InputError
from finscale.model.patchtst import PatchTST
from finscale.training.config import TrainConfig
from finscale.training.interrupt import RunStoppedError
from finscale.training.loop import Trainer
from finscale.training.progress import Epoch, FitResult
from finscale.training.resume import SavedRun
from finscale.training.schedule import Schedule
from tests.unit.test_training import COMPUTE, CONFIG, ROWS, SHAPE, TARGET, TRAIN, VALIDATION, trained

N, B = len(TRAIN), CONFIG.batch_size
PANEL = pd.concat([ROWS.iloc[:300].assign(asset=f"S{n}", split="validation") for n in range(4)], ignore_index=True)


def changed(**settings: object) -> TrainConfig:
    return TrainConfig.model_validate(CONFIG.model_dump() | {"patience": 99} | settings)


def seen_by(config: TrainConfig) -> tuple[list[torch.Tensor], FitResult, list[Epoch]]:
    """The positions of each step's windows, and what the run reports."""
    steps, epochs = [], []
    trainer = Trainer(PatchTST(SHAPE, config.model, 2), TRAIN, VALIDATION, TARGET, config, COMPUTE, 0)
    step = trainer.step
    trainer.step = lambda index_B: steps.append(index_B) or step(index_B)
    return steps, trainer.fit(epochs.append), epochs


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"epochs": 3}, 3 * N),
        ({"epochs": 0.25}, round(0.25 * N)),
        ({"epochs": 1.5}, round(1.5 * N)),
        ({"epochs": 9, "max_windows": 400}, 400),
        ({"epochs": 1, "max_windows": 10 * N}, N),
        ({"epochs": 2, "max_windows": 1}, 1),
    ],
)
def test_a_run_sees_exactly_what_it_is_given_and_each_pass_holds_every_window_once(
    settings: dict, expected: int
) -> None:
    steps, result, epochs = seen_by(changed(**settings))
    order = torch.cat(steps)
    assert len(order) == result.windows_seen == epochs[-1].windows_seen == expected
    for first in range(0, expected, N):
        part = order[first : first + N]
        assert len(part.unique()) == len(part)
    assert result.unique_windows == len(order.unique())
    assert result.passes == expected / N
    assert len(epochs) == result.epochs_run == int(np.ceil(expected / N))


def test_validations_come_at_the_first_step_that_reaches_a_multiple_and_at_the_end() -> None:
    steps, result, epochs = seen_by(changed(epochs=1.7, validate_every=100))
    after = np.cumsum([len(index_B) for index_B in steps])
    wanted = sorted({int(after[after >= k][0]) for k in range(100, after[-1] + 1, 100)} | {int(after[-1])})
    assert [epoch.windows_seen for epoch in epochs] == wanted
    assert result.epochs_run == Schedule.of(N, changed(epochs=1.7, validate_every=100)).epochs == len(wanted)


def test_a_validation_each_pass_is_the_same_run_however_it_is_asked_for() -> None:
    config = changed(validate_every=N, max_windows=CONFIG.epochs * N, validation_windows=len(VALIDATION))
    first, again = trained(changed()), trained(config)
    assert first[1:] == again[1:]
    assert all(torch.equal(ours, again[0].state_dict()[name]) for name, ours in first[0].state_dict().items())


def test_train_losses_are_means_over_the_windows_between_two_validations() -> None:
    """At a learning rate of nothing, what the parts of a pass report is together what the pass reports."""
    still = {"learning_rate": 1e-30, "final_learning_rate": 0.0, "model": CONFIG.model.model_dump() | {"dropout": 0.0}}
    whole = trained(changed(epochs=1, **still))[2]
    parts = trained(changed(epochs=1, validate_every=77, **still))[2]
    windows = np.diff([0, *(epoch.windows_seen for epoch in parts)])
    assert len(parts) > 3
    assert np.average([epoch.train_loss for epoch in parts], weights=windows) == pytest.approx(whole[0].train_loss)


def test_patience_counts_validations() -> None:
    _, result, epochs = trained(changed(epochs=60, learning_rate=0.03, patience=2, validate_every=64))
    assert result.epochs_run == len(epochs) == result.best_epoch + 2
    assert result.windows_seen < N * 60


def test_warm_up_and_decay_are_over_all_that_is_seen() -> None:
    config = changed(epochs=5, max_windows=900, warmup_fraction=0.2, validate_every=1)
    rates = [epoch.learning_rate for epoch in trained(config)[2]]
    steps = Schedule.of(N, config).total_steps
    assert len(rates) == steps
    assert rates.index(config.learning_rate) + 2 == round(0.2 * steps)  # an epoch tells the rate of the step after it
    assert rates[-1] == pytest.approx(config.final_learning_rate, abs=1e-9)


@pytest.mark.parametrize("every", [None, 50, N + 40])
def test_a_run_stopped_after_any_step_goes_on_to_the_same_bit(every: int | None, tmp_path: Path) -> None:
    config = changed(epochs=1.6, validate_every=every)
    expected = trained(config)
    for stop_after in (4, N // B + 1, N // B + 2):  # within a pass, at its end, and after
        folder = tmp_path / str(stop_after)
        with pytest.raises(RunStoppedError):
            run(config, folder, stop_after)
        network, result, epochs = run(config, folder, None)
        assert (result, epochs) == expected[1:], stop_after
        weights = network.state_dict()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in expected[0].state_dict().items())


def run(config: TrainConfig, folder: Path, stop_after: int | None) -> tuple[PatchTST, FitResult, list[Epoch]]:
    torch.manual_seed(0)
    network, epochs = PatchTST(SHAPE, config.model, 2), []
    trainer = Trainer(network, TRAIN, VALIDATION, TARGET, config, COMPUTE, 0)
    trainer.saved = SavedRun(folder, keep=3)

    def told(windows: int) -> None:
        if trainer.progress.step == stop_after:
            trainer.stop.signal = "SIGTERM"

    trainer.on_windows = told
    return network, trainer.fit(epochs.append), epochs


def test_windows_that_choose_are_of_all_days_alike_and_the_same_for_every_context_length() -> None:
    cpu = torch.device("cpu")
    whole = Windows(PANEL, "validation", 1, cpu)
    part = whole.sample(len(whole) // 2 + 17)
    assert len(part) == len(whole) // 2 + 17
    per_day = part.keys.groupby("date").size().reindex(whole.keys["date"].unique(), fill_value=0)
    assert per_day.between(2, 3).all()  # of four symbols
    assert part.keys["asset"].nunique() == 4
    later = PANEL.assign(split=np.where(PANEL.groupby("asset").cumcount() < 16, "none", "validation"))
    lengths = [development_windows(later, length, cpu, 500)["validation"] for length in (4, 16)]
    pd.testing.assert_frame_equal(lengths[0].keys, lengths[1].keys)
    x, label = part.gather(torch.arange(len(part)))
    rows = PANEL.merge(part.keys, on=["date", "asset"]).sort_values(["asset", "date"])
    assert torch.equal(label, torch.tensor(rows["label"].to_numpy(dtype=np.float32)))
    assert torch.equal(x[:, -1, 0], torch.tensor(rows["first"].to_numpy(dtype=np.float32)))


def test_validation_that_costs_more_than_training_is_refused() -> None:
    config = changed(epochs=1, validate_every=B)
    with pytest.raises(InputError, match=r"train\.validate_every = 32: 11 validations on 1,000 windows cost more than"):
        Schedule.of(N, config).told(1000, config)
    assert "validated 11 times on 20 (" in Schedule.of(N, config).told(20, config)


def test_runs_on_the_same_rows_share_one_file_and_the_last_removes_it(tmp_path: Path) -> None:
    path, scratch = tmp_path / "development.parquet", tmp_path / "scratch"
    ROWS.to_parquet(path, row_group_size=123)
    with shared_rows(path, scratch) as first:
        with shared_rows(path, scratch):
            assert len(list((scratch / "rows").glob("*.float32"))) == 1
        assert len(list((scratch / "rows").glob("*.float32"))) == 1
        np.testing.assert_array_equal(first.matrix, ROWS[["first", "second"]].to_numpy(dtype=np.float32))
        assert first.features == ["first", "second"]
        windows = Windows(first, "train", 16, COMPUTE.device)
        assert windows._matrix_RC.data_ptr() == first.matrix.data_ptr()  # nothing is copied
        for ours, theirs in zip(windows.gather(torch.arange(N)), TRAIN.gather(torch.arange(N)), strict=True):
            assert torch.equal(ours, theirs)
    assert list((scratch / "rows").glob("*.float32")) == []


def test_runs_that_start_together_write_the_rows_once_and_take_nothing_from_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, scratch = tmp_path / "development.parquet", tmp_path / "scratch"
    ROWS.to_parquet(path)

    def slowly(target: Path, source: Path, features: list[str]) -> None:
        with (tmp_path / "written").open("a") as file:
            file.write("once\n")
        write(target, source, features)
        time.sleep(0.3)  # half written, as the others see it, while they come

    def enter() -> None:
        with shared_rows(path, scratch) as rows:
            assert len(rows.keys) == len(ROWS)
            time.sleep(0.5)

    write = rows_module._write
    monkeypatch.setattr(rows_module, "_write", slowly)
    forked = multiprocessing.get_context("fork")
    runs = [forked.Process(target=enter) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0] * len(runs)
    assert (tmp_path / "written").read_text() == "once\n"


def test_a_file_that_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    ROWS.to_parquet(tmp_path / "development.parquet")
    left = tmp_path / "rows/0123.float32"
    left.parent.mkdir()
    left.write_bytes(b"")
    with shared_rows(tmp_path / "development.parquet", tmp_path):
        assert not left.exists()


def test_test_rows_are_refused_before_they_are_read(tmp_path: Path) -> None:
    ROWS.assign(split="test").to_parquet(tmp_path / "development.parquet")
    with (
        pytest.raises(InputError, match="holds test rows"),
        shared_rows(tmp_path / "development.parquet", tmp_path / "scratch"),
    ):
        pass
    assert not (tmp_path / "scratch/rows").exists()
