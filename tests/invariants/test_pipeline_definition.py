"""dvc.yaml says what the stages really do, and dvc.lock what the repository really holds."""

import hashlib
import importlib
import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml
from ruamel.yaml import YAML

from finscale.data.folds import folder_of_later
from finscale.imports import import_closure, read_sources
from stages.code import digests
from stages.paths import FOLDS, PER_FOLD
from study.experiments import RESULT_STAGES

DVC = yaml.safe_load(Path("dvc.yaml").read_text())
STAGES = DVC["stages"]
LOCK = YAML(typ="safe").load(Path("dvc.lock"))["stages"]  # YAML 1.2, as DVC writes it: 1e-06 is a number
# They show or compare results and change none.
DRAWING = ("dictionary", "trade", "meta", "feature_report", "scaling", "report")
FLOW = list(STAGES)
SOURCES = read_sources()


def paths_of(stage: ModuleType) -> set[str]:
    """The file constants of a stage, and where it goes over all folds the folders of the later ones."""
    named = {value for name, value in vars(stage).items() if name.isupper() and isinstance(value, Path)}
    later = {folder_of_later(path) for path in named & set(PER_FOLD)} if FOLDS in named else set()
    return {path.as_posix() for path in named | later}


def outputs(stage: dict) -> list[str]:
    outs = [*stage.get("outs", []), *stage.get("metrics", [])]
    return [out if isinstance(out, str) else next(iter(out)) for out in outs]


def test_the_stages_stand_in_the_order_of_the_flow() -> None:
    assert [name for name in STAGES if name not in ("code", *DRAWING)] == list(RESULT_STAGES)


@pytest.mark.parametrize("name", [name for name in FLOW if name != "code"])
def test_a_stage_depends_on_the_digest_of_its_own_code(name: str) -> None:
    assert [path for path in STAGES[name]["deps"] if path.startswith("code/")] == [f"code/{name}.md5"]


def test_the_digests_are_of_the_committed_code() -> None:
    committed = {path.stem: path.read_text() for path in Path("code").glob("*.md5")}
    assert committed == digests(), "run `dvc repro`"
    assert set(committed) == set(STAGES)


def test_a_pipeline_of_one_screen_per_purpose() -> None:
    lines = Path("dvc.yaml").read_text().splitlines()
    assert len(lines) <= 400
    assert all(name in " ".join(lines[:16]) for name in FLOW)  # the flow, before the first stage


def test_dvc_writes_both_files_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dvc exp run -S seed=0` leaves no change that is none."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(name, tmp_path / name)
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    monkeypatch.chdir(tmp_path)
    apply_overrides("params.yaml", ["seed=0"])
    with modify_yaml("dvc.yaml") as pipeline:
        pipeline["stages"]["train"]["cmd"] = "python -m stages.train"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == texts


@pytest.mark.parametrize("name", FLOW)
def test_matplotlib_is_loaded_where_something_is_drawn_and_nowhere_else(name: str) -> None:
    code = import_closure(f"stages.{name}", SOURCES)
    draws = any(re.search(r"^(import|from) matplotlib", text, re.MULTILINE) for text in code.values())
    assert draws == (name in ("tune", "feature_report", "scaling", "report"))


@pytest.mark.parametrize("name", FLOW)
def test_inputs_and_outputs_are_the_files_that_the_stage_names(name: str) -> None:
    stage = STAGES[name]
    inputs = {path for path in stage["deps"] if not path.startswith("code/")}
    declared = inputs | set(outputs(stage))
    named = paths_of(importlib.import_module(f"stages.{name}"))
    # `report` points at a figure without reading it; DVC takes no dvc.yaml as a dependency of `dictionary`; `download`
    # reads the very files that its input tells of.
    unread = {"plots/scaling_curve.png", "dvc.yaml", "data/inputs.json"}
    assert named - unread == declared - unread


@pytest.mark.parametrize("name", [name for name in FLOW if name != "configure"])
def test_parameters_are_the_keys_that_the_stage_reads(name: str) -> None:
    module = importlib.import_module(f"stages.{name}")
    read = set(module.Params.model_fields) if hasattr(module, "Params") else set()
    assert set(STAGES[name].get("params", [])) == read


@pytest.mark.parametrize("name", ["download", "resample", "align", "features", "label", "dataset", "tune", "train"])
def test_the_run_cache_takes_the_stage(name: str) -> None:
    """What DVC asks of it: no output that stays (`persist`), none outside its cache, no stage that always runs."""
    assert all(isinstance(out, str) for out in STAGES[name]["outs"])
    assert "always_changed" not in STAGES[name]


def test_dvc_exp_show_has_few_metrics_and_none_that_is_taken_for_a_setting() -> None:
    metrics = [path for stage in STAGES.values() for out in stage.get("metrics", []) for path in out]
    assert metrics == ["metrics/headline.json"]
    columns = json.loads(Path(metrics[0]).read_text())
    assert len(columns) <= 12
    assert not set(columns) & set(yaml.safe_load(Path("params.yaml").read_text()))


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
