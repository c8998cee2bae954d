"""A key tells all that decides a result, also what is not in params.yaml: what `auto` came to, the searched space."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from finscale.config import flat
from finscale.scaling.ledger import experiment_key
from finscale.training.device import choose_compute
from study.experiments import key_params, overlaid, planned_keys, read_workspace, space_of

PARAMS = yaml.safe_load(Path("params.yaml").read_text())
FIRST = {"device": "cpu", "precision": "bf16"}
TUNED = overlaid(PARAMS, {"train.from_tune": True})


def key(params: dict[str, Any], compute: dict[str, str]) -> str:
    return experiment_key(key_params(params, compute, read_workspace), "code", "data")


@pytest.mark.parametrize("came", [{"device": "cuda", "precision": "bf16"}, {"device": "cpu", "precision": "fp32"}])
def test_two_machines_whose_auto_differs_make_two_rows(came: dict[str, str]) -> None:
    assert key(PARAMS, FIRST) == experiment_key(PARAMS, "code", "data")  # the keys of the rows that are there
    assert key(PARAMS, came) != key(PARAMS, FIRST)


def test_asking_for_what_auto_comes_to_is_the_same_experiment() -> None:
    single = overlaid(PARAMS, {"train.precision": "fp32"})
    came = {"device": "cpu", "precision": "fp32"}
    assert key(PARAMS, came) == key(single, came)


def test_what_a_phase_looks_for_is_the_key_that_a_run_here_will_have() -> None:
    chosen = choose_compute("auto", "auto", 1)
    here = {"device": chosen.device.type, "precision": chosen.precision}
    for settings in ({}, {"train.precision": "fp32"}, {"train.precision": "fp32", "train.device": "cuda"}):
        params = overlaid(PARAMS, settings)
        came = {name: here[name] if params["train"][name] == "auto" else params["train"][name] for name in here}
        assert planned_keys(settings, "code", ["data"]) == [key(params, came)]


def test_another_search_space_is_another_experiment_where_its_result_is_taken() -> None:
    def read(path: str) -> str | None:
        return (read_workspace(path) or "") + "# another bound"

    assert read_workspace(f"search_spaces/{PARAMS['tune']['space']}.yaml")
    assert space_of(TUNED, read_workspace) != space_of(TUNED, read)
    assert key_params(TUNED, FIRST, read_workspace) != key_params(TUNED, FIRST, read)
    assert space_of(PARAMS, read) == {}
    assert "tune.space_md5" not in flat(key_params(PARAMS, FIRST, read))
