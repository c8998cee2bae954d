"""A planted market through the stages themselves: how much of the skill that there is does the model find?

The stages run in a workspace of their own with settings changed and nothing replaced: every stage's main(), in the
order of the flow; those that open test rows in processes of their own, since nobody else may. On `source: simulated,
market: planted` the chance of a rise tomorrow is known on every day: p[t] = Phi(signal * f(z[t])), by
finscale/sources/simulated.py.
"""

import contextlib
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.special import ndtr

from finscale.config import check_unchanged, forget_read
from finscale.data.dataset import OPEN_TEST_FEATURES, OPEN_TEST_LABELS
from finscale.errors import InputError
from finscale.evaluation import metrics
from finscale.evaluation.bootstrap import choose_block_length, resample
from finscale.evaluation.metrics import Score
from finscale.sources.config import SimulatedConfig
from finscale.sources.simulated import last_sessions, law, simulate
from finscale.sources.simulated_bound import best_log_loss
from finscale.storage import read_json, read_parquet
from study.experiments import RESULT_STAGES

ROOT = Path(__file__).parents[1]
_CODE = ("stages", "finscale", "search_spaces", "universes")
_DEVIATION = 0.01  # of the simulated daily log-returns
_RESAMPLES, _CONFIDENCE = 2000, 0.95


@dataclass(frozen=True)
class Found:
    """What one model made of one planted market, on its test days. Losses in nats.

    bound: the best mean log-loss, by integration. law_loss: what the law itself scored on these very days.
    """

    params: int
    train_rows: int
    test_rows: int
    loss: Score
    skill: Score  # against the base rate
    above_law: Score  # loss minus the law's own, day by day: negative beyond chance would be a leak
    share: float  # of the skill that there is: (base rate - expected loss) / (base rate - bound), 1 at the bound
    law_loss: float
    bound: float
    seconds: float


def run_stages(
    folder: Path, settings: dict[str, Any], first: str = RESULT_STAGES[0], last: str = RESULT_STAGES[-1]
) -> None:
    """Run stages, all up to `evaluate`, in a workspace. settings: axes, and blocks of keys that replace theirs.

    first, last: the stages to begin and end with; those before `first` have been run there already, with settings that
    they share. Raises InputError where a stage does.
    """
    for name in _CODE:
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(yaml.safe_dump(merged(params, settings), sort_keys=False), encoding="utf-8")
    with contextlib.chdir(folder), _silence():
        wanted = RESULT_STAGES[RESULT_STAGES.index(first) : RESULT_STAGES.index(last) + 1]
        for stage in (f"stages.{name}" for name in wanted):
            if stage in (*OPEN_TEST_FEATURES, *OPEN_TEST_LABELS):
                _run_apart(stage)
            else:
                importlib.import_module(stage).main()
        check_unchanged()
    forget_read()


def _run_apart(stage: str) -> None:
    done = subprocess.run([sys.executable, "-m", stage], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{Path.cwd()}: {stage} stopped: {done.stderr.strip()}")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What stages print, progress bars too, is about one run; here there are many."""
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nothing,
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        yield


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Nested settings with some of them changed."""
    inner = {key: merged(values[key], new) if isinstance(new, dict) else new for key, new in changes.items()}
    return values | inner


def measure(folder: Path) -> Found:
    """Score the test predictions in a finished workspace against the law that made the market."""
    config = SimulatedConfig(
        **yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))["data"]["simulated"]
    )
    predictions = read_parquet(folder / "data/processed/predictions.parquet")
    test = predictions[predictions["split"] == "test"]
    told = read_json(folder / "metrics/experiment.json")["run"]
    truth = chance_of_a_rise(folder, config)[test["date"]].to_numpy()
    label, predicted, base = (test[name].to_numpy() for name in ("label", "model", "base_rate"))
    loss, law_loss = metrics.log_loss_rows(label, predicted), metrics.log_loss_rows(label, truth)
    sample = resample(test["date"].to_numpy(), choose_block_length(loss, 1), _RESAMPLES, _CONFIDENCE, seed=0)
    # In expectation over tomorrow's draw, which the law gives: the luck of the test days falls out.
    least, expected, naive = (metrics.log_loss_rows(truth, p).mean() for p in (truth, predicted, base))
    return Found(
        params=told["params_total"],
        train_rows=told["train_windows"],
        test_rows=len(test),
        loss=metrics.mean_score(loss, *sample),
        skill=metrics.skill_score(loss, metrics.log_loss_rows(label, base), *sample),
        above_law=metrics.mean_score(loss - law_loss, *sample),
        share=float((naive - expected) / (naive - least)),
        law_loss=float(law_loss.mean()),
        bound=best_log_loss(config),
        seconds=read_json(folder / "models/runtime.json")["train_seconds"],
    )


def chance_of_a_rise(folder: Path, config: SimulatedConfig) -> pd.Series:
    """p[t], indexed by date, from the closes as the pipeline read them."""
    close = read_parquet(folder / "data/raw/SIM.parquet").set_index("date")["close"]
    z = np.log(close).diff() / _DEVIATION
    return pd.Series(ndtr(config.signal * law(z.to_numpy(), config.complexity)), pd.DatetimeIndex(close.index))


def share_after_instance_norm(config: SimulatedConfig, context_length: int) -> float:
    """The share of the skill that the newest return still holds once its window has been normalised.

    Instance norm takes the mean and the scale of a window's days out of it; the law needs both. Estimated on 80,000
    days of the same market: the mean chance of a rise within each of 200 equally filled bins of the normalised return.
    """
    days = last_sessions(date(1990, 1, 1), date(2023, 12, 29), 8000)
    markets = [simulate(config.model_copy(update={"seed": seed}), days) for seed in range(1000, 1010)]
    z = np.array([np.log(market["close"]).diff().to_numpy()[1:] / _DEVIATION for market in markets])
    window = np.lib.stride_tricks.sliding_window_view(z, context_length, axis=1)
    newest = ((window[..., -1] - window.mean(axis=-1)) / window.std(axis=-1)).ravel()
    truth = ndtr(config.signal * law(window[..., -1].ravel(), config.complexity))
    bins = np.argsort(np.argsort(newest)) * 200 // len(newest)
    predicted = (np.bincount(bins, truth) / np.bincount(bins))[bins]
    left, least = (metrics.log_loss_rows(truth, p).mean() for p in (predicted, truth))
    return float((np.log(2) - left) / (np.log(2) - least))
