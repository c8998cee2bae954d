"""Is the meta-model better than what went into it? Every figure on the same days, with its interval."""

from dataclasses import asdict
from typing import Any

import pandas as pd

from finscale.config import Horizon
from finscale.evaluation import metrics
from finscale.evaluation.bootstrap import choose_block_length, daily_means, horizon_sessions, resample
from finscale.evaluation.comparison import daily_losses, paired_differences
from finscale.evaluation.config import EvaluateConfig
from finscale.meta.boosting import BASE_RATE

_SEED = 0  # of the resampling, a part of the measurement
_NOT_MODELS = ("date", "asset", "label", "exit", "fold", "known_until")


def judge(tested: pd.DataFrame, horizon: Horizon, binary: bool, config: EvaluateConfig) -> dict[str, Any]:
    """Loss and skill of every column, and the meta-model's loss minus each rival's: below 0, it is better.

    tested: what walk_forward returns. `verdict` says in words what the intervals show: a difference whose interval
    holds 0 is none that is established.
    """
    names = [name for name in tested if name not in _NOT_MODELS]
    label = tested["label"].to_numpy()
    rows = {name: metrics.loss_rows(label, tested[name].to_numpy(), binary) for name in names}
    block = config.block_length
    if block == "auto":
        block = choose_block_length(daily_means(rows["meta"], tested["date"]).to_numpy(), horizon_sessions(horizon))
    sample = resample(tested["date"].to_numpy(), block, config.resamples, config.confidence, _SEED)
    models = {
        name: {
            "loss": asdict(metrics.mean_score(loss, *sample)),
            "skill": asdict(metrics.skill_score(loss, rows[BASE_RATE], *sample)),
        }
        for name, loss in rows.items()
    }
    losses = daily_losses(tested, ["meta", *(name for name in names if name != "meta")], binary)
    pairs = paired_differences(losses, block, config.resamples, config.confidence)
    differences = [pair for pair in pairs if pair["a"] == "meta"]
    return {
        "days": int(tested["date"].nunique()),
        "rows": len(tested),
        "first": f"{tested['date'].min():%Y-%m-%d}",
        "last": f"{tested['date'].max():%Y-%m-%d}",
        "block_length": block,
        "confidence": config.confidence,
        "models": models,
        "differences": differences,
        "verdict": {pair["b"]: in_words(pair["low"], pair["high"]) for pair in differences},
    }


def in_words(low: float, high: float) -> str:
    """What an interval of the meta-model's loss minus a rival's establishes."""
    if high < 0:
        return "better"
    return "worse" if low > 0 else "no difference established"
