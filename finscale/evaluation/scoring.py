"""What is measured of one run: every model on the same rows, and what the ledger keeps of it.

Predictions are a table of (asset, day) rows: date, asset, split, label, exit, model, one column per baseline, and for
binary tasks one `calibrated_<method>` per calibration method; of several folds also `fold`.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from finscale.config import Task, is_binary
from finscale.errors import InputError
from finscale.evaluation import metrics
from finscale.evaluation.baseline_names import names_in
from finscale.evaluation.bootstrap import (
    MIN_BLOCKS,
    Draws,
    choose_block_length,
    daily_means,
    draw_days,
    enclosed_share,
)
from finscale.evaluation.calibration import METHODS, calibration_error
from finscale.evaluation.config import EvaluateConfig
from finscale.evaluation.score_names import bounds, correlations
from finscale.evaluation.secondary import secondary_scores

_SEED = 0  # the resampling is part of the measurement, not of the experiment: its seed never varies


@dataclass(frozen=True)
class Resampling:
    """The resamples that every interval of a run is made from."""

    block_length: int  # days
    draws: Draws
    confidence: float
    enclosed: float  # share of the resamples between the ends of an interval

    def describe(self) -> dict[str, Any]:
        return {
            "bootstrap": "circular block",
            "block_length": self.block_length,
            "resamples": len(self.draws),
            "confidence": self.confidence,
            "enclosed": self.enclosed,
        }


def resampling(test: pd.DataFrame, horizon_bars: int, binary: bool, config: EvaluateConfig) -> Resampling:
    """Blocks as long as the model's daily loss asks for, or as params.yaml says.

    Raises InputError where params.yaml asks for blocks of which the test days hold fewer than MIN_BLOCKS.
    """
    days = test["date"].nunique()
    block = config.block_length
    if block == "auto":
        loss = metrics.loss_rows(test["label"].to_numpy(), test["model"].to_numpy(), binary)
        block = choose_block_length(daily_means(loss, test["date"]).to_numpy(), horizon_bars)
    if block * MIN_BLOCKS > days:
        raise InputError(
            f"params.yaml: evaluate.block_length = {block}, but {days} test days hold fewer than {MIN_BLOCKS} such "
            f"blocks; at most {days // MIN_BLOCKS}, or auto"
        )
    draws = draw_days(test["date"].to_numpy(), block, config.resamples, _SEED)
    return Resampling(block, draws, config.confidence, enclosed_share(config.confidence, block, days))


def score(test: pd.DataFrame, task: Task, drawn: Resampling) -> dict[str, Any]:
    """Loss and skill of the model and each baseline, and the model's other metrics, with intervals.

    information: the Clark-West statistic, above 0 where predictions know something that the base rate does not.
    """
    label, prediction, binary = test["label"].to_numpy(), test["model"].to_numpy(), is_binary(task)
    names = ("model", *names_in(test))
    loss = {name: metrics.loss_rows(label, test[name].to_numpy(), binary) for name in names}
    base = test["base_rate"].to_numpy()
    sample = (drawn.draws, drawn.enclosed)
    models = {
        name: {
            "loss": metrics.mean_score(rows, *sample),
            "skill": metrics.skill_score(rows, loss["base_rate"], *sample),
            "loss_minus_model": metrics.mean_score(rows - loss["model"], *sample),
            "information": metrics.mean_score(metrics.information_rows(label, test[name].to_numpy(), base), *sample),
        }
        for name, rows in loss.items()
    }
    return drawn.describe() | {
        "models": {name: _as_dicts(scores) for name, scores in models.items()},
        "other": _as_dicts(secondary_scores(label, prediction, task, *sample)),
        "calibration": calibration_scores(test, drawn) if binary else {},
    }


def calibration_scores(test: pd.DataFrame, drawn: Resampling) -> dict[str, Any]:
    """Loss and expected calibration error of the model as every calibration method of its predictions leaves it."""
    label, sample = test["label"].to_numpy(), (drawn.draws, drawn.enclosed)
    found = {}
    for method in [method for method in METHODS if f"calibrated_{method}" in test]:
        probability = test[f"calibrated_{method}"].to_numpy()
        loss = metrics.mean_score(metrics.log_loss_rows(label, probability), *sample)
        found[method] = _as_dicts({"loss": loss, "ece": calibration_error(label, probability, *sample)})
    return found


def conformal_scores(rows: pd.DataFrame, level: float, drawn: Resampling) -> dict[str, Any]:
    """Coverage and mean width on the test rows. rows: what conformal.conform returns."""
    sample = (drawn.draws, drawn.enclosed)
    return {"level": level} | {
        method: _as_dicts(
            {
                "coverage": metrics.mean_score(rows[f"{method}_covered"].to_numpy(), *sample),
                "width": metrics.mean_score(rows[f"{method}_width"].to_numpy(), *sample),
            }
        )
        for method in ("split", "adaptive")
    }


def spread(test: pd.DataFrame, binary: bool) -> dict[str, Any]:
    """How much the predictions vary; a model that predicts a constant is named collapsed (SPEC 12.4).

    Of several folds it is the mean deviation within a fold: constants that differ between folds are constants still.
    """
    parts = [rows for _, rows in test.groupby("fold")] if "fold" in test else [test]
    deviation = float(np.mean([rows["model"].std(ddof=0) for rows in parts]))
    return {"prediction_std": deviation, "collapsed": deviation < metrics.COLLAPSED_STD[binary]}


def headline(scores: dict[str, Any], run: dict[str, Any], test: pd.DataFrame, binary: bool) -> dict[str, Any]:
    """The numbers that a run is told by. run: what training recorded."""
    extra = {"test_auc": scores["other"]["auc"]["value"]} if binary else {"test_r2": scores["other"]["r2"]["value"]}
    return {
        "params_counted": run["params_total"],
        "validation_loss": run["validation_loss"],
        **bounds(scores["models"]["model"], ("loss", "skill"), "test_"),
        **{f"test_{name}": scores["other"][name]["value"] for name in ("accuracy", "qlike") if name in scores["other"]},
        **extra,
        "test_coverage": scores["conformal"]["adaptive"]["coverage"]["value"],
        **spread(test, binary),
    }


def second_headline(unseen: dict[str, Any]) -> dict[str, Any]:
    """The numbers of the test on symbols that never trained. unseen: symbols, rows, `score` and cross-section."""
    models = unseen["scores"]["models"]
    baselines = {f"{name}_loss": score["loss"]["value"] for name, score in models.items() if name != "model"}
    return {
        "symbols": unseen["symbols"],
        "rows": unseen["rows"],
        **bounds(models["model"], ("loss", "skill")),
        **correlations(unseen),
        **baselines,
    }


def columns(found: dict[str, Any]) -> dict[str, Any]:
    """The part of a headline that `dvc exp show` has columns for: short names that are no setting's, rounded values."""
    names = {
        "val_loss": "validation_loss",
        "test_loss": "test_loss",
        "loss_low": "test_loss_low",
        "loss_high": "test_loss_high",
        "skill": "test_skill",
        "skill_low": "test_skill_low",
        "skill_high": "test_skill_high",
    }
    return {"counted": found["params_counted"]} | {short: round(found[name], 5) for short, name in names.items()}


def _as_dicts(scores: dict[str, metrics.Score]) -> dict[str, dict[str, float]]:
    return {name: asdict(score) for name, score in scores.items()}
