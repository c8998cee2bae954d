"""dvc.yaml says what the stages really do, and dvc.lock what the repository really holds."""

import hashlib
import importlib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from ruamel.yaml import YAML

from finscale.data.folds import folder_of_later
from finscale.imports import import_closure
from stages.paths import FOLDS, PER_FOLD
from study.experiments import RESULT_STAGES, read_workspace

DVC = yaml.safe_load(Path("dvc.yaml").read_text())
STAGES = DVC["stages"]
LOCK = YAML(typ="safe").load(Path("dvc.lock"))["stages"]  # YAML 1.2, as DVC writes it: 1e-06 is a number
# They show or compare results and change none.
DRAWING = ("dictionary", "compare", "trade", "meta", "draw", "feature_report", "scaling", "report")
FLOW = list(STAGES)


def paths_of(stage: ModuleType) -> set[str]:
    """The file constants of a stage, and where it goes over all folds the folders of the later ones."""
    named = {value for name, value in vars(stage).items() if name.isupper() and isinstance(value, Path)}
    later = {folder_of_later(path) for path in named & set(PER_FOLD)} if FOLDS in named else set()
    return {path.as_posix() for path in named | later}


def outputs(stage: dict) -> list[str]:
    return [next(iter(out)) for out in [*stage.get("outs", []), *stage.get("metrics", [])]]


def test_the_stages_stand_in_the_order_of_the_flow() -> None:
    assert [name for name in STAGES if name not in DRAWING] == list(RESULT_STAGES)


@pytest.mark.parametrize("name", FLOW)
def test_code_dependencies_are_what_the_stage_imports(name: str) -> None:
    code = [path for path in STAGES[name]["deps"] if path.endswith(".py")]
    assert sorted(code) == sorted(import_closure(f"stages.{name}", read_workspace))


@pytest.mark.parametrize("name", FLOW)
def test_inputs_and_outputs_are_the_files_that_the_stage_names(name: str) -> None:
    stage = STAGES[name]
    inputs = {path for path in stage["deps"] if not path.endswith(".py")}
    declared = inputs | set(outputs(stage))
    named = paths_of(importlib.import_module(f"stages.{name}"))
    # `report` points at a figure without reading it; DVC takes no dvc.yaml as a dependency of `dictionary`.
    unread = {"plots/scaling_curve.png", "dvc.yaml"}
    assert named - unread == declared - unread


@pytest.mark.parametrize("name", [name for name in FLOW if name != "configure"])
def test_parameters_are_the_keys_that_the_stage_reads(name: str) -> None:
    module = importlib.import_module(f"stages.{name}")
    read = set(module.Params.model_fields) if hasattr(module, "Params") else set()
    assert set(STAGES[name].get("params", [])) == read


@pytest.mark.parametrize("name", FLOW)
def test_outputs_survive_a_failed_run(name: str) -> None:
    for out in [*STAGES[name].get("outs", []), *STAGES[name].get("metrics", [])]:
        assert next(iter(out.values()))["persist"] is True


@pytest.mark.parametrize("name", FLOW)
def test_the_lock_matches_the_committed_files(name: str) -> None:
    locked = LOCK[name]
    for kind in ("deps", "outs"):
        for entry in locked.get(kind, []):
            path = Path(entry["path"])
            if path.is_file():  # data and models are elsewhere in a fresh clone
                assert hashlib.md5(path.read_bytes()).hexdigest() == entry["md5"], f"{name}: {path}; run `dvc repro`"
    assert {entry["path"] for entry in locked["deps"]} == set(STAGES[name]["deps"])


@pytest.mark.parametrize("name", FLOW)
def test_the_lock_matches_params_yaml(name: str) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    locked = LOCK[name].get("params", {}).get("params.yaml", {})
    assert locked == {key: params[key] for key in STAGES[name].get("params", [])}


def test_the_lock_s_data_flow_is_unbroken() -> None:
    made = {entry["path"]: entry["md5"] for stage in LOCK.values() for entry in stage.get("outs", [])}
    for name, stage in LOCK.items():
        for entry in stage["deps"]:
            if entry["path"] in made:
                assert entry["md5"] == made[entry["path"]], f"{name} was locked with another {entry['path']}"
