"""The verdict on small panels, through every stage: scaling where a law takes capacity, and never where there is none.

A cut-down `make controls` (study/controls.yaml): 80 symbols, some 50 thousand training windows, three sizes, two seeds.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finscale.evaluation.day_file import read_day_file
from finscale.scaling.laws.contrast import Runs
from finscale.scaling.laws.exponent import Exponent, exponent
from finscale.scaling.phases import phase_settings
from finscale.scaling.verdict import exponent_of, judge
from finscale.storage import read_json
from study.experiments import params_with
from study.ladders import LADDERS
from study.planted import run_stages

BUDGETS, SEEDS = ("10K", "30K", "90K"), (0, 1)
SMALLER = {
    "data.simulated.symbols": 80,
    "data.simulated.sessions": 1400,
    "dataset.split.live.train_end": "2024-12-31",
    "dataset.split.live.calibration_start": "2025-03-15",
    "dataset.split.live.validation_end": "2025-05-31",
    "baselines.catboost_iterations": 20,
    "evaluate.resamples": 200,
    "train.batch_size": 128,
}


def settings(market: str, budget: str, seed: int) -> dict[str, Any]:
    axes = {"source": "simulated", "assets": "all", "task": "direction", "horizon": 1, "budget": budget, "seed": seed}
    return params_with(phase_settings(LADDERS, "teacher") | SMALLER | {"data.simulated.market": market} | axes)


def climb(folder: Path, market: str) -> Exponent:
    """The exponent of a ladder: features, rows and baselines are made once, each run is trained and judged on them."""
    daily, sizes, seeds = [], [], []
    for at, (budget, seed) in enumerate((budget, seed) for budget in BUDGETS for seed in SEEDS):
        run_stages(folder, settings(market, budget, seed), "train" if at else "configure")
        days = read_day_file(folder / "metrics/daily_losses.parquet")
        daily.append(days["model"].to_numpy(float))
        sizes.append(read_json(folder / "metrics/experiment.json")["run"]["params_total"])
        seeds.append(str(seed))
    runs = Runs(np.stack(daily), np.array(sizes), np.array(seeds), 1, days["rows"].to_numpy(float))
    return exponent(np.array(sizes, float), runs)


@pytest.mark.slow  # 6 minutes on two cores
def test_a_law_that_takes_capacity_is_called_scaling(tmp_path: Path) -> None:
    found = climb(tmp_path, "teacher")
    assert judge(found.alpha).kind == "scaling"
    assert found.alpha.value > exponent_of(0.01)


@pytest.mark.slow  # 6 minutes on two cores
def test_a_random_walk_is_never_called_scaling_though_a_small_effect_would_be_seen(tmp_path: Path) -> None:
    found = climb(tmp_path, "random_walk")
    assert judge(found.alpha).kind in ("flat", "undecidable")
    assert found.alpha.detectable() < exponent_of(0.01)
