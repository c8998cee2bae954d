"""The day is what is redrawn, everywhere: a panel of copies of one symbol knows no more than the symbol."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from finscale.config import Task, is_binary
from finscale.evaluation import comparison, scoring
from finscale.evaluation.baseline_names import names_of
from finscale.evaluation.calibration import METHODS, reliability
from finscale.evaluation.config import EvaluateConfig
from finscale.evaluation.years import by_year
from finscale.meta.judgement import judge
from finscale.scaling.laws.contrast import Runs, estimate

COPIES, DAYS = 7, pd.bdate_range("2016-03-01", periods=260)
CONFIG = EvaluateConfig(resamples=300, confidence=0.95, block_length="auto", conformal_level=0.9, conformal_step=0.02)


def symbol(task: Task) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    logit = rng.normal(size=len(DAYS))
    binary = is_binary(task)
    label = (rng.random(len(DAYS)) < expit(logit)).astype(float) if binary else 0.01 * logit
    names = ["model", *names_of(task), *(f"calibrated_{method}" for method in METHODS if binary)]
    noisy = {name: logit + rng.normal(size=len(DAYS)) for name in names}
    told = {name: expit(values) if binary else 0.01 * values for name, values in noisy.items()}
    told["base_rate"] = np.full(len(DAYS), 0.5 if binary else 0.001)
    exits = DAYS + pd.Timedelta(days=7)
    return pd.DataFrame({"date": DAYS, "asset": "ONE", "exit": exits, "label": label} | told)


def copies(one: pd.DataFrame) -> pd.DataFrame:
    """Symbol after symbol, as predictions.parquet is."""
    return pd.concat([one.assign(asset=f"S{number}") for number in range(COPIES)], ignore_index=True)


def of_run(test: pd.DataFrame, task: Task) -> dict[str, Any]:
    """All that the stage `evaluate` puts an interval on; of conformal sets the interval alone, not their making."""
    binary = is_binary(task)
    drawn = scoring.resampling(test, 5, binary, CONFIG)
    found: dict[str, Any] = {"scores": scoring.score(test, task, drawn)}
    if binary:
        bins = reliability(test["label"].to_numpy(), test["model"].to_numpy(), drawn.draws, drawn.enclosed)
        found["bins"] = bins.drop(columns="rows").to_dict("list")
    found["years"] = by_year(test, binary, drawn.block_length, 300, 0.95).drop(columns="rows").to_dict("list")
    sets = dict.fromkeys(("split_covered", "adaptive_covered"), (test["label"] > 0).astype(float))
    sets |= dict.fromkeys(("split_width", "adaptive_width"), test["model"])
    return found | {"coverage": scoring.conformal_scores(test.assign(**sets), 0.9, drawn)}


def of_comparison(test: pd.DataFrame, task: Task) -> dict[str, Any]:
    losses = comparison.daily_losses(test, ["model", *names_of(task)], is_binary(task))
    return {
        "differences": comparison.paired_differences(losses, 9, 300, 0.95),
        "set": comparison.model_confidence_set(losses.round(12), 9, 300, 0.1),
        "spa": comparison.superior_predictive_ability(losses.round(12), "base_rate", 9, 300),
    }


def of_meta(test: pd.DataFrame, task: Task) -> dict[str, Any]:
    tested = test[["date", "asset", "exit", "label", "base_rate", "catboost"]].assign(meta=test["model"])
    told = judge(tested, 5, is_binary(task), CONFIG)
    del told["rows"]
    return told


def of_exponent(test: pd.DataFrame, task: Task) -> dict[str, Any]:
    """Three runs of two sizes as the ledger keeps them: losses per day and rows per day."""
    days = comparison.losses_per_day(test, is_binary(task))
    runs = Runs(days[["model", "catboost", "persistence"]].to_numpy().T, np.array([0, 0, 1]), np.array([0, 1, 0]), 5,
                days["rows"].to_numpy())  # fmt: skip
    found = estimate(runs, np.array([0.5, 0.5, -1.0]))
    return {"value": found.value, "low": found.low, "high": found.high, "p": found.p_value}


def flat(told: Any, name: str = "") -> dict[str, Any]:
    if isinstance(told, dict):
        return {key: value for part in told for key, value in flat(told[part], f"{name}.{part}").items()}
    if isinstance(told, list):
        return {key: value for n, part in enumerate(told) for key, value in flat(part, f"{name}.{n}").items()}
    return {name: told}


@pytest.mark.parametrize("task", ["direction", "regression", "volatility", "surprise"])
@pytest.mark.parametrize("measure", [of_run, of_comparison, of_meta, of_exponent])
def test_copies_of_a_symbol_have_the_intervals_of_the_symbol(
    measure: Callable[[pd.DataFrame, Task], dict[str, Any]], task: Task
) -> None:
    one = symbol(task)
    once, often = flat(measure(one, task)), flat(measure(copies(one), task))
    assert once.keys() == often.keys()
    differing = {
        name: (value, often[name])
        for name, value in once.items()
        if (value != pytest.approx(often[name], rel=1e-6, abs=1e-9, nan_ok=True) if isinstance(value, float)
            else value != often[name])
    }  # fmt: skip
    assert not differing


def test_intervals_of_rows_would_be_narrower_by_the_root_of_the_copies() -> None:
    """What the test above would see: rows taken for days."""
    one = symbol("direction")
    panel = copies(one).assign(date=pd.bdate_range("2000-01-03", periods=COPIES * len(DAYS)))
    wide, narrow = (of_run(test, "direction")["scores"]["models"]["model"]["loss"] for test in (one, panel))
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])
