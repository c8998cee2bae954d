"""Calibration in the stage `evaluate`: what it may know, what it leaves behind, and who reads that later."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from finscale.data.dataset import SCORED, feature_names
from finscale.data.folds import StoredFold
from finscale.data.windows import Windows
from finscale.errors import InputError
from finscale.evaluation.base_rate import base_rate
from finscale.evaluation.baselines import baseline_predictions
from finscale.evaluation.bootstrap import draw_days, enclosed_share
from finscale.evaluation.calibration import METHODS
from finscale.evaluation.config import BaselinesConfig
from finscale.evaluation.predictions import predictions_of
from finscale.evaluation.rows import EVALUATED
from finscale.evaluation.scoring import Resampling, calibration_scores
from finscale.model.config import ModelConfig
from finscale.model.patchtst import PatchTST
from finscale.model.shape import Shape
from finscale.storage import write_parquet
from finscale.training.device import choose_compute
from finscale.training.prediction import outputs_in_units
from finscale.training.target import Target
from stages import evaluate
from study.calibrations import with_shrinkage
from tests.conftest import write_development

MODEL = ModelConfig(context_length=16, patch_length=8, patch_stride=4, dropout=0.1)
SHAPE = Shape(d_model=16, n_layers=1, n_heads=4, ffn_dim=32)
COMPUTE = choose_compute("cpu", "fp32", 1)
Predict = Callable[[pd.DataFrame, dict[str, Any]], pd.DataFrame]
ONLY = StoredFold("", 0, 1, None)
SHRINKAGE = {"calibrate": {"method": "shrinkage"}}


@pytest.fixture(scope="module")
def divided(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of all splits: of the two years of validation, the second calibrates."""
    late = (rows["split"] == "validation") & (rows["date"] >= "2015-01-01")
    return rows.assign(split=rows["split"].mask(late, "calibration"))


@pytest.fixture(scope="module")
def outputs(divided: pd.DataFrame) -> pd.DataFrame:
    """What the stage `predict` leaves of a network that has learnt nothing: logits unrelated to the labels."""
    torch.manual_seed(0)
    network, made = PatchTST(SHAPE, MODEL, len(feature_names(divided))), []
    for split in (split for split in EVALUATED if split in set(divided["split"])):
        windows = Windows(divided, split, MODEL.context_length, COMPUTE.device)
        output = outputs_in_units(network, windows, Target(binary=True), COMPUTE)
        made.append(windows.keys.assign(split=split, output=output))
    return pd.concat(made, ignore_index=True)


def run_stage(folder: Path, rows: pd.DataFrame, outputs: pd.DataFrame) -> dict[str, Any]:
    """What the stage writes in `folder`, which holds the development rows and the outputs alone: no test label."""
    write_development(folder, rows[rows["split"] != "test"].reset_index(drop=True))
    (folder / "params.yaml").write_text(yaml.safe_dump(yaml.safe_load(Path("params.yaml").read_text()) | SHRINKAGE))
    write_parquet(folder / evaluate.MODEL_PREDICTIONS, outputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(InputError, match="no such file"):  # what it does next needs predictions of baselines
            evaluate.main()
    return json.loads((folder / evaluate.CALIBRATION).read_text())


@pytest.fixture(scope="module")
def found(divided: pd.DataFrame, outputs: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_stage(tmp_path_factory.mktemp("calibrate"), divided, outputs)


def flipped(rows: pd.DataFrame, *splits: str) -> pd.DataFrame:
    """The rows with the opposite labels in these splits."""
    return rows.assign(label=rows["label"].where(~rows["split"].isin(splits), 1 - rows["label"]))


def test_the_stage_anchors_shrinkage_to_the_base_rate_of_the_training_rows(
    divided: pd.DataFrame, found: dict[str, Any]
) -> None:
    assert found["method"] == "shrinkage"
    assert found["rows"] == (divided["split"] == "calibration").sum()
    assert tuple(found["fitted"]) == tuple(found["loss"]) == METHODS
    assert found["fitted"]["shrinkage"]["base_rate"] == divided.loc[divided["split"] == "train", "label"].mean()


def test_labels_of_validation_and_test_rows_change_nothing(
    divided: pd.DataFrame, outputs: pd.DataFrame, found: dict[str, Any], tmp_path: Path
) -> None:
    moved = flipped(divided, "validation", "test")
    assert run_stage(tmp_path, moved, outputs) == found
    assert base_rate(moved) == base_rate(divided)  # also where test rows are at hand, as they are to the baselines


def test_labels_of_calibration_rows_change_the_temperature_and_not_the_base_rate(
    divided: pd.DataFrame, outputs: pd.DataFrame, found: dict[str, Any], tmp_path: Path
) -> None:
    before, after = (
        told["fitted"]["shrinkage"] for told in (found, run_stage(tmp_path, flipped(divided, "calibration"), outputs))
    )
    assert after["base_rate"] == before["base_rate"]
    assert after["temperature"] != pytest.approx(before["temperature"], rel=0.01)


def test_labels_of_training_rows_change_shrinkage_alone(
    divided: pd.DataFrame, outputs: pd.DataFrame, found: dict[str, Any], tmp_path: Path
) -> None:
    moved = run_stage(tmp_path, flipped(divided, "train"), outputs)["fitted"]
    assert moved["shrinkage"]["base_rate"] == pytest.approx(1 - found["fitted"]["shrinkage"]["base_rate"])
    assert [name for name in METHODS if moved[name] != found["fitted"][name]] == ["shrinkage"]


def without_shrinkage(found: dict[str, Any]) -> dict[str, Any]:
    """What the stage wrote before there was such a method."""
    fitted = {name: numbers for name, numbers in found["fitted"].items() if name != "shrinkage"}
    return found | {"method": "temperature", "fitted": fitted}


@pytest.fixture(scope="module")
def predict(bars: pd.DataFrame, outputs: pd.DataFrame) -> Predict:
    """What `evaluate` makes of rows with a stored calibration."""
    priced, config = bars.reset_index().assign(asset="SP500"), BaselinesConfig(catboost_iterations=2, seed=0)

    def predict(rows: pd.DataFrame, calibration: dict[str, Any]) -> pd.DataFrame:
        baselines = baseline_predictions(rows, priced, "threshold_1pct", config)
        return predictions_of(rows[list(SCORED)], outputs, baselines, calibration, ONLY)

    return predict


@pytest.fixture(scope="module")
def predictions(divided: pd.DataFrame, found: dict[str, Any], predict: Predict) -> pd.DataFrame:
    return predict(divided, found)


def test_where_logits_know_nothing_no_prediction_is_far_from_the_base_rate(predictions: pd.DataFrame) -> None:
    far = {
        name: (predictions[f"calibrated_{name}"] - predictions["base_rate"]).abs().max()
        for name in ("none", "temperature", "shrinkage")
    }
    assert far["shrinkage"] < 0.02 < 0.1 < min(far["none"], far["temperature"])


def test_no_calibrated_probability_depends_on_a_test_label(
    divided: pd.DataFrame, found: dict[str, Any], predict: Predict, predictions: pd.DataFrame
) -> None:
    columns = ["model", "base_rate", *(f"calibrated_{method}" for method in METHODS)]
    moved = predict(flipped(divided, "test"), found)
    pd.testing.assert_frame_equal(moved[columns], predictions[columns], check_exact=True)


def test_a_calibration_stored_before_shrinkage_is_read_as_it_always_was(
    divided: pd.DataFrame, found: dict[str, Any], predict: Predict, predictions: pd.DataFrame
) -> None:
    old = predict(divided, without_shrinkage(found))
    assert set(predictions) - set(old) == {"calibrated_shrinkage"}
    others = [name for name in old if name != "model"]
    pd.testing.assert_frame_equal(old[others], predictions[others], check_exact=True)
    assert (old["model"] == old["calibrated_temperature"]).all()
    test = old[old["split"] == "test"]
    draws = draw_days(test["date"].to_numpy(), 5, 100, seed=0)
    drawn = Resampling(5, draws, 0.95, enclosed_share(0.95, 5, test["date"].nunique()))
    assert set(calibration_scores(test, drawn)) == set(METHODS) - {"shrinkage"}


def test_the_study_shrinks_older_predictions_as_the_stage_does_fold_by_fold(
    divided: pd.DataFrame, outputs: pd.DataFrame, predict: Predict, predictions: pd.DataFrame, tmp_path: Path
) -> None:
    opposite = flipped(divided, "train", "calibration")
    second = predict(opposite, run_stage(tmp_path, opposite, outputs))
    made = pd.concat([predictions.assign(fold="1"), second.assign(fold="2")], ignore_index=True)
    for told in (predictions, made):
        again = with_shrinkage(told.drop(columns="calibrated_shrinkage"))
        np.testing.assert_allclose(again["calibrated_shrinkage"], told["calibrated_shrinkage"], atol=1e-6)
        assert with_shrinkage(told) is told
