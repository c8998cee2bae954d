"""One run: trained on `train`, its epoch chosen by `validation`, measured on `calibration`, which does neither.

share   planted market: of the skill that there is, in expectation over each next day, which the law gives
skill   real market: 1 - loss / loss of the base rate, over the measured days of all folds
noise   random walk: as skill, with its interval over days
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from torch import Tensor

from finscale.config import is_binary, parse_budget
from finscale.data.splits import Split
from finscale.data.windows import Windows
from finscale.evaluation import metrics
from finscale.evaluation.base_rate import base_rate
from finscale.evaluation.baselines import baseline_predictions
from finscale.evaluation.bootstrap import choose_block_length, horizon_sessions, resample
from finscale.evaluation.config import BaselinesConfig
from finscale.model.masked import MaskedPatches
from finscale.model.shape import Shape, solve
from finscale.sources.config import SimulatedConfig
from finscale.storage import read_parquet
from finscale.training.config import TrainConfig
from finscale.training.device import Compute, choose_compute
from finscale.training.initial import initial_model
from finscale.training.loop import Trainer
from finscale.training.prediction import outputs_in_units
from finscale.training.pretrain import Reconstruction, masked_model
from finscale.training.pretrain import settings as pretrain_settings
from finscale.training.progress import Epoch
from finscale.training.target import Target
from stages.paths import BARS
from study.planted import chance_of_a_rise
from study.recipe.protocol import BASELINES, Planned
from study.recipe.workspaces import development_rows, workspace

MEASURED: Split = "calibration"
_RESAMPLES, _CONFIDENCE = 2000, 0.95
_ONE_THREAD = 1  # runs side by side, one core each

Told = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """What one model, or one baseline, made of the measured days.

    row: of the table, less the run's name. daily: date, loss and base (the base rate's loss), a mean over each day's
    rows, and rows, their number.
    """

    candidate: str
    row: Told
    daily: pd.DataFrame


def measure(planned: Planned) -> list[Measured]:
    """Train a candidate and measure it; or measure all baselines. Raises InputError as the stages do."""
    folder = workspace(planned.params)
    folds = development_rows(folder)
    if planned.run.candidate == BASELINES:
        return _baselines(planned, folder, folds)
    started = time.perf_counter()
    outputs, told = zip(*(_trained(planned, rows) for rows in folds), strict=True)
    together = {key: sum(one[key] for one in told) for key in ("windows", "steps", "validation_rows")}
    own = {"params": told[0]["params"], "best_epoch": "+".join(str(one["best_epoch"]) for one in told)}
    own |= together | {"validation_loss": float(np.mean([one["validation_loss"] for one in told]))}
    seconds = {"seconds": round(time.perf_counter() - started, 1)}
    return [_judged(planned, planned.run.candidate, folder, pd.concat(outputs), own | seconds)]


def _trained(planned: Planned, rows: pd.DataFrame) -> tuple[pd.DataFrame, Told]:
    """date, label, model and base of the measured rows of one fold, and what training was."""
    params = planned.params
    config = TrainConfig.model_validate(params["train"])
    compute = choose_compute(config.device, config.precision, _ONE_THREAD)
    length, budget, seed = config.model.context_length, parse_budget(params["budget"]), int(params["seed"])
    train, validation, measured = (
        Windows(rows, split, length, compute.device) for split in ("train", "validation", MEASURED)
    )
    target = Target.of(train, is_binary(params["task"]))
    shape = solve(budget, config.model, train.channels)
    network = initial_model(shape, config, budget, train, target, seed)
    if config.pretrain.epochs:
        network.load_state_dict(_encoder(config, shape, train, validation, compute, seed), strict=False)
    trainer = Trainer(network.to(compute.device), train, validation, target, config, compute, seed)
    epochs: list[Epoch] = []
    result = trainer.fit(epochs.append)
    output = outputs_in_units(network, measured, target, compute)
    found = measured.keys.assign(
        label=measured.label.cpu().numpy().astype(float),
        model=expit(output) if target.binary else output,
        base=base_rate(rows),
    )
    return found, {
        "params": network.counts().total, "windows": len(train), "steps": result.steps,
        "validation_rows": len(validation), "best_epoch": result.best_epoch,
        "validation_loss": result.validation_loss,
    }  # fmt: skip


def _encoder(
    config: TrainConfig, shape: Shape, train: Windows, validation: Windows, compute: Compute, seed: int
) -> dict[str, Tensor]:
    """Weights that masked patches have given the encoder, as finscale.training.run has them."""
    masked = masked_model(shape, config, train.channels, seed).to(compute.device)
    trainer = Trainer(masked, train, validation, Reconstruction(), pretrain_settings(config), compute, seed)
    trainer.fit(lambda _: None)
    return MaskedPatches.encoder_weights(masked.state_dict())


def _baselines(planned: Planned, folder: Path, folds: list[pd.DataFrame]) -> list[Measured]:
    """Each baseline of the task on the rows that the models are measured on."""
    params, bars, parts = planned.params, read_parquet(folder / BARS), []
    config = BaselinesConfig.model_validate(params["baselines"])
    for rows in folds:
        known = bars[bars["date"] <= rows["date"].max()]
        made = baseline_predictions(rows, known, params["task"], config)
        keyed = rows[rows["split"] == MEASURED][["date", "asset", "split", "label"]]
        parts.append(
            keyed.merge(made, on=["date", "asset", "split"], validate="one_to_one").assign(base=base_rate(rows))
        )
    table = pd.concat(parts)
    names = [name for name in table if name not in ("date", "asset", "split", "label", "base", "base_rate")]
    windows = sum(int((rows["split"] == "train").sum()) for rows in folds)
    return [_judged(planned, name, folder, table.assign(model=table[name]), {"windows": windows}) for name in names]


def _judged(planned: Planned, candidate: str, folder: Path, found: pd.DataFrame, told: Told) -> Measured:
    """found: date, label, model and base, a row per measured row."""
    binary, params = is_binary(planned.params["task"]), planned.params
    label = found["label"].to_numpy()
    if planned.measure == "share":
        return _share(planned, candidate, folder, found, told)
    loss, base = (metrics.loss_rows(label, found[name].to_numpy(), binary) for name in ("model", "base"))
    told = told | {"measured": len(found), "loss": loss.mean(), "base_loss": base.mean()}
    told |= {"value": 1 - loss.mean() / base.mean()}
    if planned.measure == "noise":
        length = choose_block_length(loss, horizon_sessions(params["horizon"]))
        sample = resample(found["date"], length, _RESAMPLES, _CONFIDENCE, seed=0)
        skill = metrics.skill_score(loss, base, *sample)
        told |= {"low": skill.low, "high": skill.high}
    by_day = found.assign(loss=loss, base=base).groupby("date")[["loss", "base"]]
    daily = by_day.mean().assign(rows=by_day.size()).reset_index()
    return Measured(candidate, told, daily)


def _share(planned: Planned, candidate: str, folder: Path, found: pd.DataFrame, told: Told) -> Measured:
    simulated = SimulatedConfig.model_validate(planned.params["data"]["simulated"])
    truth = chance_of_a_rise(folder, simulated)[found["date"]].to_numpy()
    expected = {name: metrics.log_loss_rows(truth, found[name].to_numpy()) for name in ("model", "base")}
    expected["law"] = metrics.log_loss_rows(truth, truth)
    loss, base, law = (float(expected[name].mean()) for name in ("model", "base", "law"))
    row = told | {"measured": len(found), "loss": loss, "base_loss": base, "law_loss": law}
    daily = pd.DataFrame({"date": found["date"].to_numpy(), "loss": expected["model"], "base": expected["base"]})
    return Measured(candidate, row | {"value": (base - loss) / (base - law)}, daily.assign(rows=1))
