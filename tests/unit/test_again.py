"""The line beside each run makes it again: DVC's own reading of it gives the run's axes and settings."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from finscale.data.config import EvaluationConfig
from finscale.scaling.again import again
from finscale.scaling.ledger import AXES
from finscale.scaling.settings import settings_of

PARAMS = yaml.safe_load(Path("params.yaml").read_text())
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"budget": "10K", "seed": 3},
    {"source": "directory", "tier": "a50", "horizon": "weekly", "train.epochs": 2, "calibrate.method": "none"},
    {"train.betas": [0.8, 0.99], "train.learning_rate": 3e-05, "train.from_tune": True, "tune.space": "default"},
    {"dataset.split.bundled.train_end": "2012-12-31", "dataset.split.bundled.test_end": None},
    {"evaluation.scheme": "walk_forward", "evaluation.walk_forward.train_years": 5},
)


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    params = yaml.safe_load(Path("params.yaml").read_text())
    for key, value in changes.items():
        *blocks, name = key.split(".")
        inner = params
        for block in blocks:
            inner = inner[block]
        inner[name] = value
    return params


def row(params: dict[str, Any]) -> dict[str, Any]:
    scheme = EvaluationConfig(**params["evaluation"]).identity(params["source"])
    return {axis: params[axis] for axis in AXES} | {"scheme": scheme, "commit": "0123abc"}


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: ", ".join(changes) or "nothing")
@pytest.mark.parametrize("today", [PARAMS, changed({"budget": "1M", "train.epochs": 5, "tier": "a100"})],
                         ids=["as committed", "another params.yaml"])  # fmt: skip
def test_dvc_reads_from_the_line_what_the_run_had(
    changes: dict[str, Any], today: dict[str, Any], tmp_path: Path
) -> None:
    wanted = changed(changes)
    words = shlex.split(again(row(wanted), settings_of(wanted), today))
    assert words[:3] == ["dvc", "exp", "run"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(today))
    apply_overrides(tmp_path / "params.yaml", words[4::2])
    read = yaml.safe_load((tmp_path / "params.yaml").read_text())
    assert settings_of(read) == settings_of(wanted)
    assert row(read) == row(wanted)


def test_only_what_differs_is_said() -> None:
    wanted = changed({"seed": 2, "train.epochs": 60})
    assert again(row(wanted), settings_of(wanted), PARAMS) == "dvc exp run -S budget=100K -S seed=2 -S train.epochs=60"


def test_a_run_whose_settings_nobody_wrote_down_goes_back_to_its_commit() -> None:
    line = again(row(PARAMS), None, PARAMS)
    assert line.startswith("git checkout 0123abc && dvc exp run -S source=bundled -S assets=A ")
    assert all(f"-S {axis}=" in line for axis in AXES)
