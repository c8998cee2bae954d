"""The study of learning rates over budgets: resumable, keyed by its settings, and its page follows from its table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.pages.transfer import curves, page, read_runs, seed_spread, transfer, verdict
from study.transfer import PAGE, TABLE, Params, Run, append, missing, settings_hash, train
from tests.unit.test_training import CONFIG, TRAIN, VALIDATION

PARAMS = Params(source="simulated", task="direction", train=CONFIG)
RUN = Run("simulated", "direction", "md5", settings_hash(CONFIG), "sp", "10K", 0.002, 0, 2, "fp32")
DATA = {"train": TRAIN, "validation": VALIDATION}


def test_a_finished_run_is_not_run_again_and_a_changed_one_is(tmp_path: Path) -> None:
    planned = [RUN, replace(RUN, parametrization="mup"), replace(RUN, seed=1)]
    table = tmp_path / "table.csv"
    assert list(missing(planned, table)) == planned
    for one in planned[:2]:
        append(train(one, PARAMS, DATA), table)
    assert list(missing(planned, table)) == planned[2:]
    dropped = CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"dropout": 0.3})})
    changed = [replace(RUN, settings=settings_hash(dropped)), replace(RUN, data="other"), replace(RUN, epochs=3)]
    assert list(missing(changed, table)) == changed
    sp, mup = pd.read_csv(table).to_dict("records")
    assert sp["train_loss"] != mup["train_loss"]
    assert sp["steps"] == mup["steps"] == 2 * 11
    assert abs(sp["params"] / 10_000 - 1) < 0.02


def test_a_diverged_run_has_no_loss_and_is_never_the_best(tmp_path: Path) -> None:
    calm = PARAMS.model_copy(update={"train": CONFIG.model_copy(update={"clip_norm": 1e6})})
    for rate in (0.002, 100.0):
        append(train(replace(RUN, learning_rate=rate), calm, DATA), tmp_path / "table.csv")
    runs = read_runs(tmp_path / "table.csv")
    assert np.isinf(runs["train_loss"].iloc[1])
    assert curves(runs, "train_loss")["best"].tolist() == [0.002]


def ladder(optimum: dict[str, float], noise: float, parametrization: str = "sp") -> pd.DataFrame:
    """Losses that rise by 0.01 per squared factor of two away from each budget's optimum, with two seeds about them."""
    return pd.DataFrame(
        {"source": "simulated", "task": "direction", "parametrization": parametrization, "budget": budget,
         "d_model": 32 * 2**step, "n_layers": 1, "seed": seed, "learning_rate": rate,
         "train_loss": 0.6 + 0.01 * np.log2(rate / best) ** 2 + noise * (2 * seed - 1)}
        for step, (budget, best) in enumerate(optimum.items())
        for rate in (0.001, 0.002, 0.004, 0.008, 0.016) for seed in (0, 1)
    )  # fmt: skip


def test_best_rates_their_movement_and_what_ignoring_it_costs_are_recovered() -> None:
    runs = ladder({"30K": 0.008, "1M": 0.002}, noise=0.001)
    told = curves(runs, "train_loss")
    assert told["best"].tolist() == told["low"].tolist() == told["high"].tolist() == [0.008, 0.002]
    (row,) = (row for _, row in transfer(runs, "train_loss").iterrows())
    assert (row["moved"], row["width"], row["overlap"]) == (-2, 2, False)
    assert row["regret"] == pytest.approx(0.04)
    told = verdict(row, "train_loss", 0.001)
    assert "moves by -2 grid steps" in told
    assert "**not within one grid step**" in told


def test_what_seeds_cannot_tell_apart_is_said() -> None:
    runs = ladder({"30K": 0.004, "1M": 0.002}, noise=0.01)
    spread, freedom = seed_spread(runs, "train_loss")
    assert (round(spread, 6), freedom) == (
        round(0.01 * np.sqrt(2), 6),
        6,
    )  # the best and its neighbours; others lie too far above
    told = curves(runs, "train_loss")
    assert told["low"].tolist() == [0.002, 0.001]
    assert told["high"].tolist() == [0.008, 0.004]
    (row,) = (row for _, row in transfer(runs, "train_loss").iterrows())
    assert row["overlap"]
    assert "within one grid step" in verdict(row, "train_loss", spread)


def test_a_best_rate_at_the_end_of_its_grid_is_marked() -> None:
    told = curves(ladder({"30K": 0.016, "1M": 0.008}, noise=0.001), "train_loss")
    assert told["inside"].tolist() == [False, True]


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == page(read_runs(TABLE)), "run `python -m study.transfer --draw`"


def test_an_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"python -m study\.transfer` makes it"):
        read_runs(tmp_path / "none.csv")


def test_runs_of_two_kinds_are_not_pooled(tmp_path: Path) -> None:
    runs = pd.read_csv(TABLE)
    runs.loc[runs.index[-1], "epochs"] += 1
    runs.to_csv(tmp_path / "mixed.csv", index=False)
    with pytest.raises(InputError, match="differ in epochs"):
        read_runs(tmp_path / "mixed.csv")
