"""The choice of the default recipe: no run can see a test day, and the decision follows from the table by its rule."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from finscale.config import check_params, check_unchanged, flat
from finscale.data.dataset import OPEN_TEST_FEATURES, OPEN_TEST_LABELS
from finscale.errors import InputError
from finscale.recipes import RECIPES, recipe_settings
from finscale.scaling.phases import recipe_of
from finscale.storage import write_parquet
from stages.configure import Params
from stages.paths import TEST, TEST_LABELS
from study.experiments import overlaid
from study.recipe import page, workspaces
from study.recipe.__main__ import main
from study.recipe.choice import Standing, decide, loss_against, mean_ranks, paired, standings
from study.recipe.measure import measure
from study.recipe.protocol import PROTOCOL as PATH
from study.recipe.protocol import Protocol, Run, inherited, load_protocol, plan, planned
from study.recipe.table import add, is_done, read_rows

PARAMS: dict[str, Any] = yaml.safe_load(Path("params.yaml").read_text())
PROTOCOL = load_protocol()


def test_the_author_s_recipe_is_the_specification_to_the_letter() -> None:
    author = recipe_settings("author")
    train = {"learning_rate": 0.0001, "weight_decay": 0.01, "patience": 10}  # SPEC 8
    model = {"input_norm": "instance", "pooling": "mean", "head_hidden": 0, "channel_attention": "none"}  # SPEC 7
    assert train.items() <= {key.removeprefix("train."): value for key, value in author.items()}.items()
    assert model.items() <= {key.removeprefix("train.model."): value for key, value in author.items()}.items()
    assert author["features.levels"] == "as_is"


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_every_recipe_is_settings_that_params_yaml_has_and_the_stages_take(name: str) -> None:
    settings = recipe_settings(name)
    assert settings.keys() <= flat(PARAMS).keys()
    assert settings.keys() == recipe_settings("author").keys()  # so that one in place of another leaves nothing behind
    check_params(Params, overlaid(PARAMS, settings), Path("params.yaml"))


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_a_recipe_is_read_by_dvc_as_it_is_printed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["recipe", "--settings", name])
    main()
    words = capsys.readouterr().out.split()
    assert words[::2] == ["-S"] * len(recipe_settings(name))
    (tmp_path / "params.yaml").write_text(Path("params.yaml").read_text())
    apply_overrides(tmp_path / "params.yaml", [*words[1::2], "train.model.pooling=attention"])
    read = flat(yaml.safe_load((tmp_path / "params.yaml").read_text()))
    assert read["train.model.pooling"] == "attention"
    assert (recipe_settings(name) | {"train.model.pooling": "attention"}).items() <= read.items()


def test_params_yaml_holds_a_recipe_whole() -> None:
    values = flat(PARAMS)
    recipes = [recipe_settings(path.stem) for path in RECIPES.glob("*.yaml")]
    assert any(recipe.items() <= values.items() for recipe in recipes)


def test_a_recipe_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("train: {epochs: 3}\nbudget: 1M\n")
    with pytest.raises(InputError, match=r"yours.yaml: no such recipe; there are mine"):
        recipe_settings("yours", tmp_path)
    with pytest.raises(InputError, match=r"mine.yaml: a recipe sets features and train, not budget"):
        recipe_settings("mine", tmp_path)


def test_the_author_s_phases_run_with_the_author_s_recipe() -> None:
    assert {recipe_of(Path("phases.yaml"), phase) for phase in ("1", "2", "3", "4", "5", "6", "6A")} == {"author"}


def test_no_real_data_set_of_the_protocol_reaches_a_day_of_the_default_s_test() -> None:
    last = {"bundled": PARAMS["dataset"]["split"]["bundled"]["validation_end"], "directory": "2014-12-31"}
    sources = {name: inherited(PROTOCOL.data, name) for name in PROTOCOL.data}
    real = {name: told for name, told in sources.items() if told["source"] != "simulated"}
    assert real
    assert all(told["data.end"] <= last[told["source"]] for told in real.values())


def test_no_command_of_the_choice_may_open_test_rows() -> None:
    assert not any(name.startswith("study") for name in (*OPEN_TEST_FEATURES, *OPEN_TEST_LABELS))


@pytest.fixture(scope="module")
def quick() -> Protocol:
    """Two recipes that train for one pass."""
    short = {"train.epochs": 1, "train.patience": 1, "train.model.context_length": 20}
    candidates = {"author": {}, "short": short, "other": {"of": "short", "train.model.pooling": "last"}}
    return PROTOCOL.model_copy(update={"candidates": candidates})


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


def test_a_run_is_the_same_without_the_files_of_the_test(
    quick: Protocol, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINSCALE_SCRATCH", str(scratch / "training"))
    one = plan(quick, PARAMS, Run("short", "straight-418", "10K", 0))
    (first,) = measure(one)
    folder = workspaces.workspace(one.params)
    days = pd.concat(workspaces.development_rows(folder))["date"]
    assert days.max().date() == date(2024, 12, 31)
    for path in (TEST, TEST_LABELS):
        (folder / path).unlink()
    (again,) = measure(one)
    known = {key: value for key, value in first.row.items() if key != "seconds"}
    assert known == {key: value for key, value in again.row.items() if key != "seconds"}
    assert first.row["windows"] == 418
    check_unchanged()  # the command's own settings are those of the repository, whatever a workspace had
    assert first.row["measured"] == len(first.daily) == 752  # 2022 to 2024, less the last day, whose label exits later
    assert 0 < first.row["law_loss"] < first.row["base_loss"]
    assert first.row["value"] == pytest.approx(
        (first.row["base_loss"] - first.row["loss"]) / (first.row["base_loss"] - first.row["law_loss"])
    )


def test_a_run_that_the_table_holds_is_not_run_again_and_a_changed_one_is(
    quick: Protocol, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINSCALE_SCRATCH", str(scratch / "training"))
    one = plan(quick, PARAMS, Run("short", "straight-418", "10K", 0))
    table = tmp_path / "recipe.csv"
    assert not is_done(one, read_rows(table))
    add(one, measure(one), "code", quick, table)
    rows = read_rows(table)
    assert is_done(one, rows)
    assert not is_done(plan(quick, PARAMS, Run("short", "straight-418", "10K", 1)), rows)
    quick.candidates["short"]["train.epochs"] = 2
    assert not is_done(plan(quick, PARAMS, Run("short", "straight-418", "10K", 0)), rows)
    quick.candidates["short"]["train.epochs"] = 1


def test_rounds_name_what_is_there_and_no_run_stands_twice() -> None:
    runs = [one.run for one in planned(PROTOCOL, list(PROTOCOL.rounds))]
    assert len(runs) == len(set(runs))


@pytest.mark.parametrize(
    ("part", "name", "told", "words"),
    [
        ("rounds", "1", {"candidates": ["x"]}, "round 1 names the candidate 'x', which is not defined there"),
        ("rounds", "1", {"data": ["x"]}, "round 1 names the data set 'x', which is not defined there"),
        ("candidates", "base", {"of": "x"}, "'x' is named and not defined"),
        ("rounds", "1", {"seed": [0]}, "rounds.1 = .* is not a known key.*did you mean seeds"),
    ],
)
def test_a_protocol_with_a_name_or_key_that_is_none_is_refused(
    tmp_path: Path, part: str, name: str, told: dict[str, Any], words: str
) -> None:
    values = yaml.safe_load(PATH.read_text())
    values[part][name] |= told
    (tmp_path / "protocol.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(InputError, match=words):
        load_protocol(tmp_path / "protocol.yaml")


def table(values: dict[str, list[float]], measure: str = "share") -> pd.DataFrame:
    """Rows of candidates on two data sets and as many seeds as there are values, half of them each."""
    rows = []
    for name, found in values.items():
        half = len(found) // 2
        for place, value in enumerate(found):
            rows.append({
                "candidate": name, "data": f"set-{place // half}", "budget": "10K", "seed": place % half,
                "measure": measure, "value": value, "seconds": 10.0, "low": value - 0.1, "windows": 100,
            })  # fmt: skip
    return pd.DataFrame(rows)


def test_differences_are_paired_over_markets() -> None:
    rng = np.random.default_rng(0)
    market = rng.standard_normal(6)
    found = paired(table({"a": list(market + 0.1), "b": list(market)}), "a", "b")
    assert found.pairs == 6
    assert found.mean == pytest.approx(0.1)
    assert found.error == pytest.approx(0)
    assert found.carried_on
    assert not paired(table({"a": list(market), "b": list(market)}), "a", "b").carried_on


def standing(name: str, rank: float, **more: Any) -> Standing:
    told = {"behind": 0.0, "error": 0.3, "settings": 3, "seconds": 5.0, "found_in_noise": 0, "worse_on": ()} | more
    return Standing(name, rank, **told)


def test_the_simplest_within_one_standard_error_of_the_best_is_chosen() -> None:
    best = standing("best", 1.5, settings=6)
    assert decide([best, standing("simple", 1.7, behind=0.2, settings=4)]).candidate == "simple"
    assert decide([best, standing("simple", 2.0, behind=0.5, settings=4)]).candidate == "best"
    assert decide([best, standing("author", 1.7, behind=0.2, settings=0)]).candidate == "author"
    found = standing("simple", 1.7, behind=0.2, settings=4, found_in_noise=3)
    worse = standing("simple", 1.7, behind=0.2, settings=4, worse_on=("bundled",))
    assert decide([best, found]).candidate == decide([best, worse]).candidate == "best"
    assert decide([best, standing("cheap", 1.6, behind=0.1, settings=6, seconds=2.0)]).candidate == "cheap"


def test_ranks_are_of_each_market_and_the_eligible_best_is_what_others_are_behind() -> None:
    rows = table({"author": [0.1, 0.2, 0.1, 0.2], "base": [0.5, 0.6, 0.5, 0.6], "none": [0.7, 0.8, 0.4, 0.9]})
    ranks = mean_ranks(rows, ["author", "base", "none"])
    assert ranks.loc[("set-0", "10K"), "none"] == 1
    assert ranks.loc[("set-1", "10K"), "none"] == 1.5
    told = {one.candidate: one for one in standings(rows, PROTOCOL, ["author", "base", "none"], {"none": ("real",)})}
    assert told["base"].behind == 0  # the best that is eligible
    assert not told["none"].eligible
    assert told["author"].settings == 0
    assert told["base"].settings == len(PROTOCOL.changes("base"))


def test_losses_of_real_days_are_compared_over_seeds_and_days(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    days = pd.bdate_range("2010-01-01", periods=400)
    common = 0.6 + 0.1 * rng.standard_normal(400)
    for name, shift in (("a", 0.95), ("author", 1.0)):
        for seed in (0, 1, 2):
            own = common * shift + 0.01 * rng.standard_normal(400)
            write_parquet(
                tmp_path / f"{name}_set_10K_{seed}.parquet",
                pd.DataFrame({"date": days, "loss": own, "base": 0.6, "rows": 1}),
            )
    found = loss_against(tmp_path, "a", "author", "set", [0, 1, 2], 5)
    assert found.value == pytest.approx(np.log(0.95), abs=0.01)
    assert found.high < 0


def test_the_page_says_what_was_chosen_and_what_did_not_help(tmp_path: Path) -> None:
    seeds = [0, 1, 2]
    first = PROTOCOL.rounds["1"].model_copy(update={"seeds": seeds, "candidates": ["author", "base", "mean"]})
    final = first.model_copy(update={"against": "", "final": True, "candidates": ["author", "base"]})
    protocol = PROTOCOL.model_copy(update={"rounds": {"1": first, "4": final}, "finalists": ["author", "base"]})
    rows = table({"author": [0.1, 0.12, 0.11] * 2, "base": [0.8, 0.82, 0.81] * 2, "mean": [0.2, 0.23, 0.21] * 2})
    rows = rows.replace({"data": {"set-0": "straight-2418", "set-1": "turning-2418"}}).assign(code="c")
    assert page.write(rows, protocol, tmp_path / "recipe.md", tmp_path / "recipe.png") == "the recipe is base"
    text = (tmp_path / "recipe.md").read_text()
    assert "**`base`** by the rule: features" not in text
    assert "train.model.pooling=last" in text
    assert "`mean` (round 1): -0.60" in text
    assert (tmp_path / "recipe.png").stat().st_size > 10_000
