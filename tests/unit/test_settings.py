"""A curve varies size only: which settings tell runs apart, and where such runs go."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from finscale.errors import InputError
from finscale.pages.experiments import generate_experiment_summary_report
from finscale.pages.gallery import draw_gallery
from finscale.scaling.curves import curve_of, shown
from finscale.scaling.isoflop import runs_by_compute
from finscale.scaling.ledger import AXES, read_ledger
from finscale.scaling.results import load_experiment_results, name_experiments
from finscale.scaling.schema import UNKNOWN
from finscale.scaling.settings import (
    NOT_SETTINGS,
    PLAIN,
    Settings,
    agree,
    digest_of,
    plain_settings_of,
    read_settings,
    same_settings,
    settings_of,
    variant_of,
)
from finscale.training.run import NO_RESULT
from stages.scaling import Params

ROOT = Path(__file__).parents[2]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
LADDER = "bundled-Aa-daily-a20-threshold_1pct-h5"


def changed(key: str, value: object, params: dict[str, Any] = PARAMS) -> dict[str, Any]:
    """params.yaml after `-S key=value`."""
    told = copy.deepcopy(params)
    *blocks, last = key.split(".")
    inner = told
    for block in blocks:
        inner = inner[block]
    inner[last] = value
    return told


USUAL, LONGER = settings_of(PARAMS), settings_of(changed("train.epochs", 60))
OTHER = f"{LADDER}-{variant_of({'train.epochs': 60})}"
NAMED = ("experiment", "market", "variant", "differs", "params", "val_loss", "accuracy")
LATER_KEY = USUAL | {"train.new_key": "as before"}
KNOWN = {digest_of(one): one for one in (USUAL, LONGER, LATER_KEY)} | {PLAIN: plain_settings_of(PARAMS)}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.start", "2000-01-01"),
        ("data.end", "2024-12-31"),
        ("label.price", "high"),
        ("dataset.context_reserve", 256),
        ("dataset.split.bundled.train_end", "2012-12-31"),
        ("train.from_tune", True),
        ("train.model.dropout", 0.2),
        ("train.epochs", 60),
        ("train.learning_rate", 0.002),
        ("train.precision", "fp32"),
        ("calibrate.method", "isotonic"),
    ],
)
def test_a_setting_that_can_change_the_test_loss_parts_runs(key: str, value: object) -> None:
    assert not agree(settings_of(changed(key, value)), USUAL)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("budget", "2B"),
        ("seed", 7),
        ("horizon", 1),
        ("data.directory", "elsewhere"),
        ("data.simulated.signal", 1.0),
        ("dataset.split.live.train_end", "2012-12-31"),
        ("dataset.min_rows", 50),
        ("tune.trials", 20),
        ("train.thermal.critical", 90),
        ("train.micro_batch", "auto"),
        ("evaluate.resamples", 100),
        ("baselines.seed", 1),
        ("trade.cost_bps", 5.0),
        ("meta.depth", 3),
    ],
)
def test_what_cannot_change_it_or_is_an_axis_parts_none(key: str, value: object) -> None:
    assert settings_of(changed(key, value)) == USUAL


@pytest.mark.parametrize(
    ("first", "key", "value"),
    [
        (("source", "live"), "dataset.split.live.train_end", "2012-12-31"),
        (("source", "simulated"), "data.simulated.signal", 1.0),
        (("train.from_tune", True), "tune.trials", 20),
    ],
)
def test_a_block_counts_where_it_is_read(first: tuple[str, object], key: str, value: object) -> None:
    params = changed(*first)
    assert not agree(settings_of(changed(key, value, params)), settings_of(params))


def test_walk_forward_reads_no_split_dates() -> None:
    walk = changed("evaluation.scheme", "walk_forward")
    assert settings_of(changed("dataset.split.bundled.train_end", "2012-12-31", walk)) == settings_of(walk)


def test_what_decides_no_training_decides_no_settings() -> None:
    assert {f"train.{name}" for name in NO_RESULT} | set(AXES) <= set(NOT_SETTINGS)


@pytest.mark.parametrize(
    ("one", "other"),
    [(60, 60.0), (1e-06, "1e-06"), ("2025-12-31", yaml.safe_load("2025-12-31")), ((0.9, 1), [0.9, 1.0])],
)
def test_one_value_has_one_digest_however_yaml_writes_it(one: object, other: object) -> None:
    digests = {digest_of(settings_of(changed("train.epochs", value))) for value in (one, other)}
    assert len(digests) == 1


def rows(settings: Settings, *budgets: str, **columns: Any) -> pd.DataFrame:
    """The committed ladder's runs of these budgets (default: all), under other settings and keys."""
    results = load_experiment_results(ROOT / "results/ledger.csv")
    mine = results[results["experiment"] == LADDER].drop(columns=list(NAMED))
    chosen = mine[mine["budget"].isin(budgets)] if budgets else mine
    told = {"settings": digest_of(settings)} | columns
    keys = [f"{'-'.join(map(str, told.values()))}-{key}" for key in chosen["key"]]
    return chosen.assign(key=keys, **told)


def named(*parts: pd.DataFrame, known: dict[str, Settings] = KNOWN) -> pd.DataFrame:
    return shown(name_experiments(pd.concat(parts), known))


def keys(runs: pd.DataFrame, experiment: str = LADDER) -> list[str]:
    return sorted(runs.loc[runs["experiment"] == experiment, "key"])


def test_a_run_with_other_epochs_neither_enters_the_ladder_s_curve_nor_replaces_its_runs() -> None:
    ladder, longer = rows(USUAL), rows(LONGER, "10K", "1M", test_loss=9.0)
    found = named(ladder, longer)
    assert keys(found) == sorted(ladder["key"])
    assert keys(found, OTHER) == sorted(longer["key"])
    assert set(found.loc[found["experiment"] == OTHER, "differs"]) == {"train.epochs=60"}
    assert "Settings of its own: train.epochs=60." in generate_experiment_summary_report(found)


def test_a_name_means_the_same_runs_whatever_else_was_run_and_whatever_params_yaml_says_today() -> None:
    both = pd.concat([rows(LONGER), rows(USUAL, "10K")])
    assert keys(named(both), OTHER) == keys(named(rows(LONGER)), OTHER)
    today = settings_of(changed("train.epochs", 60))
    curve = curve_of({**PARAMS, "scheme": "single"}, today, both, KNOWN)
    assert (curve.name, curve.differs) == (OTHER, "train.epochs=60")
    assert curve_of({**PARAMS, "scheme": "single"}, USUAL, both, KNOWN).name == LADDER


def test_a_key_that_came_later_parts_no_runs_and_two_values_of_it_do() -> None:
    other = USUAL | {"train.new_key": "otherwise"}
    old, new, unlike = rows(USUAL, "10K", "30K"), rows(LATER_KEY, "1M"), rows(other, "1M")
    known = KNOWN | {digest_of(other): other, PLAIN: KNOWN[PLAIN] | {"train.new_key": "as before"}}
    found = named(old, new, unlike, known=known)
    assert keys(found) == sorted([*old["key"], *new["key"]])
    assert set(found.loc[found["experiment"] != LADDER, "differs"]) == {"train.new_key=otherwise"}


@pytest.mark.parametrize("digest", [UNKNOWN, "0123456789ab"])
def test_runs_whose_settings_nobody_knows_are_on_a_curve_of_their_own_and_say_so(digest: str) -> None:
    ladder, lost = rows(USUAL), rows(USUAL, "10K").assign(settings=digest, test_loss=0.1)
    found = named(ladder, lost)
    assert keys(found) == sorted(ladder["key"])
    own = found[found["experiment"] == f"{LADDER}-unknown"]
    assert keys(found, f"{LADDER}-unknown") == sorted(lost["key"])
    assert "`python -m study.settle`" in own["differs"].iloc[0]
    assert not any(same_settings(lost, KNOWN, USUAL))


def test_no_row_of_the_committed_ledger_leaves_its_settings_open() -> None:
    digests = set(read_ledger(ROOT / "results/ledger.csv")["settings"])
    assert digests <= set(read_settings(ROOT / "results/settings.json")) - {PLAIN}


def test_a_curve_is_of_the_newest_code_that_has_all_its_sizes() -> None:
    old, part = rows(USUAL), rows(USUAL, "10K", "30K", "100K", code="newer", timestamp="2027-01-01T00:00:00+00:00")
    assert keys(named(part, old)) == sorted(old["key"])
    whole = rows(USUAL, code="newer", timestamp="2027-01-01T00:00:00+00:00", seed=0)
    assert set(named(whole, old)["code"]) == {"newer"}
    text = generate_experiment_summary_report(name_experiments(pd.concat([part, old]), KNOWN))
    assert re.search(rf"\| {LADDER} +\| newer .*\| 9 +\| 3 .*code [0-9a-f]{{12}}, 15 runs", text)


def test_the_newest_run_of_a_point_counts_by_its_time_and_not_by_its_line() -> None:
    old = rows(USUAL)
    new = rows(USUAL, "10K", timestamp="2027-01-01T00:00:00+09:00")
    for both in ((old, new), (new, old)):
        found = named(*both)
        assert set(new["key"]) < set(keys(found))
        assert len(found) == len(old)


def test_two_markets_are_two_curves() -> None:
    one = rows(USUAL, "10K", "30K", "100K", source="directory", data="market-one")
    two = rows(USUAL, "10K", "30K", source="directory", data="other-market", timestamp="2027-01-01T00:00:00+00:00")
    found = named(two, one)
    assert found.groupby("experiment")["data"].nunique().tolist() == [1, 1]
    assert sorted(len(runs) for _, runs in found.groupby("experiment")) == [6, 9]
    today = curve_of({**PARAMS, "source": "directory", "scheme": "single"}, USUAL, pd.concat([two, one]), KNOWN)
    assert keys(found, today.name) == sorted(two["key"])  # of several markets, that of the newest run


def test_what_auto_came_to_parts_runs_and_how_it_was_asked_for_does_not() -> None:
    asked = settings_of(changed("train.precision", "bf16"))
    single = settings_of(changed("train.precision", "fp32"))
    known = KNOWN | {digest_of(one): one for one in (asked, single)}
    here, taken = rows(USUAL, "10K", "30K"), rows(asked, "100K", device="cuda")
    elsewhere, told = rows(USUAL, "300K", precision="fp32"), rows(single, "1M", precision="fp32")
    found = named(here, taken, elsewhere, told, known=known)
    other = f"{LADDER}-{variant_of({'train.precision': 'fp32'})}"
    assert keys(found, LADDER) == sorted([*here["key"], *taken["key"]])
    assert keys(found, other) == sorted([*elsewhere["key"], *told["key"]])
    assert set(found.loc[found["experiment"] == other, "differs"]) == {"train.precision=fp32"}
    # Today's `auto` is what it came to last.
    axes = {**PARAMS, "scheme": "single"}
    newest = rows(USUAL, "1M", precision="fp32", timestamp="2027-01-01T00:00:00+00:00")
    assert curve_of(axes, USUAL, here, known).name == curve_of(axes, USUAL, here.head(0), known).name == LADDER
    assert curve_of(axes, USUAL, pd.concat([newest, here]), known).name == other
    assert curve_of(axes, asked, pd.concat([newest, here]), known).name == LADDER


def test_how_to_pretrain_parts_curves_only_where_that_is_on() -> None:
    ratio = changed("train.pretrain.mask_ratio", 0.6)
    assert settings_of(ratio) == USUAL
    on = settings_of(changed("train.pretrain.epochs", 2, ratio))
    assert (on["train.pretrain.mask_ratio"], on["train.pretrain.epochs"]) == (0.6, 2)


def test_equal_compute_takes_runs_of_other_epochs_and_of_no_other_difference() -> None:
    worse = settings_of(changed("label.price", "high", changed("train.epochs", 60)))
    known, ladder = KNOWN | {digest_of(worse): worse}, rows(USUAL)
    longer = rows(LONGER, train_flops=ladder["train_flops"].to_numpy() * 2)
    high = rows(worse, train_flops=ladder["train_flops"].to_numpy() * 4)
    runs = runs_by_compute(pd.concat([ladder, longer, high]), LADDER, known)
    assert sorted(runs["train_flops"]) == sorted([*ladder["train_flops"], *longer["train_flops"]])
    # Stopped early at the compute of a shorter run, a longer one does not take its place.
    assert len(runs_by_compute(pd.concat([ladder, rows(LONGER)]), LADDER, known)) == 2 * len(ladder)
    # None of today's own epochs has been run: those of other epochs are there all the same.
    assert len(runs_by_compute(longer, LADDER, known)) == len(longer)
    assert runs_by_compute(pd.concat([ladder, longer]), "another study", known).empty


def test_at_equal_compute_newer_code_replaces_all_older_runs() -> None:
    usual, longer = rows(USUAL), rows(LONGER)
    again = rows(USUAL, code="newer", test_loss=0.4, timestamp="2027-01-01T00:00:00+00:00")
    both = rows(LONGER, code="newer", test_loss=0.4, timestamp="2027-01-01T00:00:00+00:00")
    runs = runs_by_compute(pd.concat([usual, longer, again]), LADDER, KNOWN)
    assert len(runs) == len(usual) + len(longer)  # newer code has run but one number of epochs
    runs = runs_by_compute(pd.concat([usual, longer, again, both]), LADDER, KNOWN)
    assert set(runs["test_loss"]) == {0.4}


def test_no_figure_mixes_settings(tmp_path: Path) -> None:
    usual = pd.concat([rows(USUAL, "10K", "100K"), rows(USUAL, "10K", "100K", tier="a50")])
    longer = pd.concat([rows(LONGER, "10K", "100K"), rows(LONGER, "10K", "100K", tier="a100")])
    drawn = {path.stem for path in draw_gallery(named(usual, longer), LADDER, tmp_path)}
    assert not [name for name in drawn if name.startswith("features-")]  # three tiers, but of two settings
    interactions = {name for name in drawn if name.startswith("interaction-budget-tier")}
    assert {name.endswith(OTHER[-6:]) for name in interactions} == {True, False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({digest_of(USUAL): LONGER}), f"{digest_of(USUAL)} is no digest of what stands there"),
        ('{\n<<<<<<< HEAD\n"a": {}}', r"settings\.json, line 2: no JSON"),
        ("[]", "expected"),
        ('{"plain": 3}', "expected"),
    ],
)
def test_settings_that_were_edited_or_merged_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_settings(tmp_path / "settings.json")


def test_the_stage_reads_every_block_that_settings_come_from() -> None:
    read = Params.model_validate({key: value for key, value in PARAMS.items() if key in Params.model_fields})
    assert read.settings() == USUAL
