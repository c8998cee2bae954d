"""A result is an experiment's own only if the experiment made it, with the settings that it is told with."""

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from finscale import config
from finscale.config import Block, Budget, check_unchanged, load_params
from finscale.errors import InputError
from finscale.identity import check_made_from, check_size, made_from
from finscale.imports import as_text
from stages.code import digests
from study.provenance import why_not

PARAMS = {"task": "direction", "budget": "10K", "train": {"epochs": 30, "learning_rate": 1e-05}}
INPUTS = {"models/model.json": hashlib.md5(b"models/model.json").hexdigest()}
MADE = {"params": {"task": "direction", "budget": 10_000, "train": {"epochs": 30}}, "inputs": INPUTS}
RESULT = {"made_from": MADE, "run": {"params_total": 9_951, "made_from": MADE}}


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def experiment() -> dict[str, str]:
    """The files of an experiment of three stages, all of which ran in it."""
    files = {"params.yaml": yaml.safe_dump(PARAMS), "metrics/experiment.json": json.dumps(RESULT), "code.py": "1"}
    code = {"path": "code.py", "md5": md5("1")}
    labels, model = ({"path": path, "md5": md5(path)} for path in ("data/labels.parquet", "models/model.json"))
    made = {"path": "metrics/experiment.json", "md5": md5(files["metrics/experiment.json"])}
    lock = {
        "label": {"deps": [code], "params": {"params.yaml": {"task": "direction"}}, "outs": [labels]},
        "train": {"deps": [labels], "params": {"params.yaml": {"train": PARAMS["train"]}}, "outs": [model]},
        "evaluate": {"deps": [model], "params": {"params.yaml": {"task": "direction"}}, "outs": [made]},
        "report": {"params": {"params.yaml": {"task": "another"}}},  # nothing that a result comes from
    }
    unshared = json.loads(json.dumps({"stages": lock}))
    return files | {"dvc.lock": yaml.safe_dump(unshared)}


def test_a_result_that_its_own_experiment_made_is_taken() -> None:
    assert why_not(experiment().get) is None
    old = json.dumps({"run": {"params_total": 9_951}})  # of code that recorded less
    files = experiment() | {"metrics/experiment.json": old}
    lock = yaml.safe_load(files["dvc.lock"])
    lock["stages"]["evaluate"]["outs"][0]["md5"] = md5(old)
    assert why_not((files | {"dvc.lock": yaml.safe_dump(lock)}).get) is None


EDITED = "finscale/training/loop.py"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (EDITED, f"train did not run with the {EDITED} that lies there"),
        ("stages/evaluate.py", "evaluate did not run with the stages/evaluate.py that lies there"),
        ("finscale/pages/style.py", None),  # it draws
        ("stages/trade.py", None),  # no result comes from it
    ],
)
def test_code_that_was_edited_after_the_run_is_noticed_in_the_real_tree(path: str, said: str | None) -> None:
    listed = {f"code/{stage}.md5": text for stage, text in digests().items()}
    lock = yaml.safe_load(experiment()["dvc.lock"])
    listed_outs = [{"path": name, "md5": md5(text)} for name, text in listed.items()]
    lock["stages"] |= {"code": {"outs": listed_outs}}
    files = experiment() | listed | {"dvc.lock": yaml.safe_dump(lock)}

    def read(name: str) -> str | None:
        if name in files or not Path(name).is_file():
            return files.get(name)
        return as_text(Path(name).read_bytes()) + ("\n# edited" if name == edited else "")

    edited = ""
    assert why_not(read) is None
    edited = path
    told = why_not(read)
    assert told is None if said is None else said in str(told)


def locked(change: Callable[[dict[str, Any]], None]) -> dict[str, str]:
    lock = yaml.safe_load(experiment()["dvc.lock"])
    change(lock["stages"])
    return {"dvc.lock": yaml.safe_dump(lock)}


def with_params(**changes: Any) -> dict[str, str]:
    return {"params.yaml": yaml.safe_dump(PARAMS | changes)}


def recorded(**changes: Any) -> dict[str, str]:
    """A result that says something else, and is locked."""
    told = json.dumps(RESULT | changes)

    def change(stages: dict[str, Any]) -> None:
        stages["evaluate"]["outs"][0]["md5"] = md5(told)

    return {"metrics/experiment.json": told} | locked(change)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (with_params(task="regression"), 'evaluate did not run with task = "regression": dvc.lock has "direction"'),
        (with_params(train={"epochs": 2, "learning_rate": 1e-5}), "train did not run with train.epochs = 2"),
        ({"code.py": "2"}, "label did not run on the code.py that lies there"),
        (locked(lambda stages: stages["label"]["outs"][0].update(md5="0")), "train did not run on the data/labels"),
        (locked(lambda stages: stages["evaluate"]["outs"][0].update(md5="0")), "is not what evaluate wrote"),
        (locked(lambda stages: stages.pop("evaluate")), "dvc.lock has no stage evaluate"),
        (with_params(budget="300K"), "was made with budget = 10000, where params.yaml has 300K"),
        (recorded(run={"params_total": 99_625}), "99,625 parameters counted for a budget of 10K"),
        (recorded(made_from={"params": {"train": {"epochs": 2}}}), "made with train.epochs = 2"),
        (recorded(made_from=MADE | {"inputs": {"models/model.json": "0"}}), "another models/model.json than dvc.lock"),
    ],
)
def test_a_result_that_something_else_made_is_left_out_and_the_reason_named(files: dict[str, str], words: str) -> None:
    said = why_not((experiment() | files).get)
    assert said is not None
    assert words in said


class Params(Block):
    budget: Budget
    seed: int


@pytest.fixture
def params_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(config, "_read", {})
    path = tmp_path / "params.yaml"
    path.write_text("budget: 10K\nseed: 0\nother: 1\n")
    return path


def test_settings_that_were_edited_while_a_stage_ran_fail_it(params_file: Path) -> None:
    load_params(Params, params_file)
    params_file.write_text("budget: 10K\nseed: 0\nother: 2\n")  # not this stage's
    check_unchanged()
    params_file.write_text("budget: 300K\nseed: 0\nother: 2\n")
    with pytest.raises(InputError, match="was edited while this ran: budget was 10K, and is 300K now"):
        check_unchanged()


def test_the_next_stage_takes_no_file_of_other_settings_or_other_inputs(params_file: Path) -> None:
    params, data = load_params(Params, params_file), params_file.with_name("data.csv")
    data.write_text("1")
    made = json.loads(json.dumps(made_from(params, [data])))
    check_made_from(made, params, Path("model.json"))
    with pytest.raises(InputError, match=r"model\.json was made with budget = 10000, where params\.yaml has 300000"):
        check_made_from(made, params.model_copy(update={"budget": 300_000}), Path("model.json"))
    other = copy.deepcopy(made) | {"inputs": {data.as_posix(): "0"}}
    with pytest.raises(InputError, match=r"made with another .*data\.csv than lies there now"):
        check_made_from(other, params, Path("model.json"))
    with pytest.raises(InputError, match="does not say what it was made from"):
        check_made_from(None, params, Path("model.json"))


def test_budget_and_count_agree_within_two_in_a_hundred() -> None:
    check_size("10K", 9_801)
    with pytest.raises(ValueError, match="more than 2 % apart"):
        check_size("10K", 9_799)
