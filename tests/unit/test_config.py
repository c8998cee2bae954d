"""params.yaml: what is wrong is named by key and value, with what is allowed, all of it at once."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from finscale.config import check_params, format_budget, load_params, parse_budget
from finscale.errors import InputError
from stages.configure import Params

PARAMS = Path("params.yaml")


def changed(**changes: object) -> dict:
    """params.yaml with some keys replaced; `a__b` names the key b of block a."""
    values = yaml.safe_load(PARAMS.read_text())
    for name, value in changes.items():
        *blocks, key = name.split("__")
        inner = values
        for block in blocks:
            inner = inner[block]
        inner[key] = value
    return values


def test_the_repository_s_own_params_are_valid() -> None:
    assert load_params(Params).budget == 100_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"buget": "10K"}, ["buget = '10K'", "not a known key", "did you mean budget?"]),
        ({"train__learning_rat": 1}, ["train.learning_rat", "did you mean learning_rate?", "weight_decay"]),
        ({"train__model__dropuot": 0.5}, ["train.model.dropuot", "did you mean dropout?"]),
        ({"budget": "3B"}, ["budget = '3B'", "5K to 2B"]),
        ({"budget": "many"}, ["budget = 'many'", "such as 150K"]),
        ({"task": "treshold_1pct"}, ["task = 'treshold_1pct'", "'threshold_1pct'", "'regression'"]),
        ({"horizon": 4}, ["horizon = 4", "'weekly'"]),
        ({"train__learning_rate": -1}, ["train.learning_rate = -1", "greater than 0"]),
        ({"train__model__context_length": 2}, ["train.model", "patch_length must be smaller than context_length"]),
        ({"train__model__dropout": 1.0}, ["train.model.dropout = 1.0", "less than 1"]),
        ({"evaluate__confidence": 95}, ["evaluate.confidence = 95", "less than 1"]),
        ({"dataset__split__bundled__train_end": "2016-01-01"}, ["dataset.split.bundled", "must follow each other"]),
        ({"label__price": "open"}, ["label.price = 'open'", "'close' or 'high'"]),
    ],
)
def test_a_mistake_names_the_key_the_value_and_what_is_allowed(change: dict, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        check_params(Params, changed(**change), PARAMS)
    message = str(caught.value)
    assert message.startswith("params.yaml: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize("url", ["postgresql://me:hunter2@host/studies", "mysql://host/x?user=me&password=hunter2"])
def test_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InputError, match=r"tune\.storage holds a password, .*FINSCALE_STUDIES") as refused:
        check_params(Params, changed(tune__storage=url), PARAMS)
    assert "hunter2" not in str(refused.value)
    check_params(Params, changed(tune__storage="postgresql://me@host/studies"), PARAMS)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "", ".x", "-x", "a b"])
def test_names_are_no_paths(name: str) -> None:
    for change in ({"meta__runs": [name]}, {"tune__space": name}):
        with pytest.raises(InputError, match="no path"):
            check_params(Params, changed(**change), PARAMS)


def test_a_missing_key_is_named() -> None:
    values = changed()
    del values["train"]["epochs"]
    with pytest.raises(InputError, match=r"params.yaml: train.epochs is missing"):
        check_params(Params, values, PARAMS)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        check_params(Params, changed(horizon=4, budget="x"), PARAMS)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["a: [1", "just words", ""])
def test_a_file_that_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"params\.yaml"):
        load_params(Params, path)


@given(st.integers(5, 2000), st.sampled_from(["K", "M"]))
def test_a_budget_reads_as_it_is_written(number: int, unit: str) -> None:
    count = parse_budget(f"{number}{unit}")
    assert count == number * {"K": 1_000, "M": 1_000_000}[unit]
    assert parse_budget(format_budget(count)) == count
