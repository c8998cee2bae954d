"""What goes to another machine can be run there, and what comes back is believed only as far as it can be checked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from finscale.errors import InputError
from finscale.storage import md5_of, read_json, write_json
from finscale.training.run import NO_RESULT
from stages.train import Params
from study.elsewhere.lists import Asked, checked, read_lists
from study.elsewhere.pack import name_of, pack
from study.elsewhere.results import check_files, check_result, read_pack
from study.elsewhere.rows import digests_of, group_of
from study.workers import as_override

LIST = Path("runs.yaml")
DEVELOPMENT, TEST = "data/processed/development.parquet", "data/processed/test.parquet"
PREDICTIONS = "data/processed/model_predictions.parquet"


def asked_of(**settings: Any) -> Asked:
    return checked({"budget": "10K"} | settings, LIST)


def written(folder: Path, told: Any) -> Path:
    path = folder / "runs.yaml"
    path.write_text(yaml.safe_dump(told))
    return path


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"experiment": []}, "experiment is not known; allowed: settings, experiments"),
        ({"experiments": []}, "no experiments"),
        ({"experiments": [{"seed": []}]}, "seed is an empty list: nothing to run"),
        ({"experiments": [{1: 2}]}, "1 is no key"),
        ({"experiments": [{"train.epohcs": 2}]}, "train.epohcs = 2 is not a known key"),
        ({"experiments": [{"budget": "3X"}]}, "budget = '3X' is not allowed"),
        ({"experiments": [{"train": {"epochs": 2}}]}, "train is a block; name each of its keys: `train.epochs: ...`"),
        ({"experiments": [{"tune.trials": 5}]}, "a search does not travel"),
    ],
)
def test_a_list_that_cannot_be_run_is_refused_by_its_own_name(told: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_lists([written(tmp_path, told)])
    assert said in str(error.value)
    assert "runs.yaml" in str(error.value)


def test_an_experiment_that_is_asked_for_twice_is_run_once(tmp_path: Path) -> None:
    told = {"settings": {"budget": ["10K", 10000]}, "experiments": [{"seed": [1, 0]}, {"seed": [0, 2]}]}
    assert [one.params.seed for one in read_lists([written(tmp_path, told)])] == [1, 0, 2]


def test_a_folder_that_is_there_is_not_packed_into(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match="is there already"):
            pack([LIST], taken)


def test_the_name_tells_settings_code_and_rows_apart() -> None:
    one = asked_of()
    file = f"inputs/{group_of(one.settings)}/{TEST}"
    names = [name_of(one, {"a.py": "1"}, {file: "1"}), name_of(one, {"a.py": "2"}, {file: "1"}),
             name_of(one, {"a.py": "1"}, {file: "2"}),
             name_of(asked_of(**{"evaluate.resamples": 100}), {"a.py": "1"}, {file: "1"})]  # fmt: skip
    assert len(set(names)) == len(names)
    assert name_of(asked_of(budget=10_000.0), {"a.py": "1"}, {file: "1"}) == names[0]


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 1e-5, "10K", "2025-12-31", "$FINSCALE_DATA", "/a folder/ü", "a,b", "choice(a,b)", "it's", "x\\'y",
     "C:\\data\\", "{a: 1}", "[1]", "", [0.9, 0.999], ["a b", "c"]],
)  # fmt: skip
def test_a_setting_arrives_as_it_was_written(value: Any) -> None:
    told = OverridesParser.create().parse_override(f"key={as_override(value)}")
    assert told.value() == value
    assert not told.is_sweep_override()


@pytest.mark.parametrize(
    "told",
    ["", "[]", "{}", '{"runs": [{}], "files": {}, "commit": ""}', '{"runs": [3], "files": {}, "commit": ""}',
     '{"runs": [{"name": "../../x", "settings": {}}], "files": {}, "commit": ""}',
     '{"runs": [{"name": "/x", "settings": {}}], "files": {}, "commit": ""}'],
)  # fmt: skip
def test_what_is_no_pack_is_said_to_be_none(told: str, tmp_path: Path) -> None:
    (tmp_path / "pack.json").write_text(told)
    with pytest.raises(InputError, match="is no pack, or was copied in part"):
        read_pack(tmp_path)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """The rows of an experiment, three days of them: what a result is held against is their keys."""
    folder = tmp_path / "rows"
    (folder / "data/processed").mkdir(parents=True)
    days = pd.date_range("2015-01-01", periods=3)
    kinds = {DEVELOPMENT: ["train", "validation", "calibration"], TEST: ["none", "test", "test"]}
    for path, splits in kinds.items():
        pd.DataFrame({"date": days, "asset": "SPY", "split": splits, "label": 0.0}).to_parquet(folder / path)
        days += pd.Timedelta(days=3)
    (folder / "data/processed/folds.csv").write_text("fold,train_first\nsingle,\n")
    return folder


@pytest.fixture
def result(rows: Path, tmp_path: Path) -> Path:
    """A whole result of seed 0, in the form of study/elsewhere/run.py."""
    folder = tmp_path / "results/one"
    settings = Params.model_validate({key: asked_of().told()[key] for key in Params.model_fields})
    params = settings.model_dump(mode="json", exclude={"train": NO_RESULT})
    made = {"params": params, "inputs": {DEVELOPMENT: md5_of(rows / DEVELOPMENT)}}
    compute = {"device": "cuda", "precision": "bf16"}
    run = {"made_from": made, "params_total": 10_000, "validation_loss": 0.6}
    write_json(folder / "models/model.json", {"compute": compute, "run": run})
    write_json(folder / "models/runtime.json", {})
    keys = pd.concat([pd.read_parquet(rows / path, columns=["date", "asset", "split"]) for path in (DEVELOPMENT, TEST)])
    predicted = keys[~keys["split"].isin(["train", "none"])].assign(output=0.5)
    (folder / PREDICTIONS).parent.mkdir(parents=True)
    predicted.to_parquet(folder / PREDICTIONS, index=False)
    return sealed(folder)


def sealed(folder: Path) -> Path:
    """done.json of what lies there: whoever makes a result can also make that."""
    files = {path: digest for path, digest in digests_of(folder).items() if path != "done.json"}
    write_json(folder / "done.json", {"run": "one", "files": files})
    return folder


def edit(path: Path, change: Callable[[Any], object]) -> None:
    told = read_json(path)
    change(told)
    path.write_text(json.dumps(told))


def replaced_by_link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda one: edit(one / "done.json", lambda told: told.update(run="two")), "holds the result of run two"),
        (lambda one: edit(one / "done.json", lambda told: told.pop("files")), "lists no files"),
        (lambda one: (one / "done.json").write_text("[]"), "lists no files"),
        (lambda one: (shutil.rmtree(one / "data"), sealed(one)), f"has no {PREDICTIONS}"),
        (lambda one: (one / "models/runtime.json").unlink(), "runtime.json missing or damaged"),
        (lambda one: (one / "dvclive").mkdir() or (one / "dvclive/more").touch(), "dvclive/more is not of the result"),
        (lambda one: replaced_by_link(one / "models/runtime.json", Path("/etc/hostname")), "runtime.json is a link"),
        (lambda one: replaced_by_link(one / "dvclive", Path("/etc")), "dvclive is a link"),
    ],
    ids=["other run", "no list", "no mapping", "says complete", "lost", "unlisted", "link", "linked folder"],
)  # fmt: skip
def test_a_result_is_the_files_that_it_lists(harm: Callable[[Path], object], said: str, result: Path) -> None:
    check_files(result, "one")
    harm(result)
    with pytest.raises(InputError, match=said):
        check_files(result, "one")


def of_run(change: Callable[[Any], object]) -> Callable[[Path], None]:
    return lambda one: edit(one / "models/model.json", lambda told: change(told["run"]))


def of_table(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    return lambda one: change(pd.read_parquet(one / PREDICTIONS)).to_parquet(one / PREDICTIONS, index=False)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (of_run(lambda run: run["made_from"]["params"].update(seed=1)), "seed = 1, where the pack has 0"),
        (of_run(lambda run: run["made_from"]["params"].pop("seed")), "does not say which seed"),
        (of_run(lambda run: run["made_from"].update(inputs={})), "trained on other rows"),
        (of_run(lambda run: run["made_from"]["inputs"].update({DEVELOPMENT: "0"})), "trained on other rows"),
        (of_run(lambda run: run.pop("made_from")), "is of no form that run.py writes"),
        (of_run(lambda run: run.update(params_total=6_400_000)), "6,400,000 parameters counted for a budget of 10000"),
        (of_run(lambda run: run.update(validation_loss=float("nan"))), "its validation loss is nan"),
        (lambda one: edit(one / "models/model.json", lambda told: told["compute"].update(device="cpu -S a=b")),
         "is none that a run can have"),
        (lambda one: (one / PREDICTIONS).write_bytes(b"no parquet"), "is of no form that run.py writes"),
        (of_table(lambda table: table.iloc[1:]), "3 predictions, and not of the 4 rows"),
        (of_table(lambda table: pd.concat([table.iloc[1:], table.tail(1)])), "not of the 4 rows"),
        (of_table(lambda table: table.assign(date=table["date"] + pd.Timedelta(days=1))), "not of the 4 rows"),
        (of_table(lambda table: table.assign(output=float("inf"))), "an output is no number"),
        (of_table(lambda table: table.assign(output=float("nan"))), "an output is no number"),
        (of_table(lambda table: table.assign(catboost=0.5)), "has columns date, asset, split, output, catboost"),
    ],
)  # fmt: skip
def test_a_result_is_of_its_settings_and_rows(
    harm: Callable[[Path], object], said: str, result: Path, rows: Path
) -> None:
    check_result(result, asked_of(), rows)
    harm(result)
    with pytest.raises(InputError, match=said):
        check_result(result, asked_of(), rows)
