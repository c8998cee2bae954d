"""A curve varies size only: which settings tell runs apart, and where such runs go."""

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from finscale.errors import InputError
from finscale.pages.experiments import generate_experiment_summary_report
from finscale.pages.gallery import draw_gallery
from finscale.scaling.isoflop import runs_by_compute
from finscale.scaling.ledger import AXES, read_ledger, study_name
from finscale.scaling.results import load_experiment_results, name_experiments
from finscale.scaling.settings import (
    NOT_SETTINGS,
    Settings,
    agree,
    digest_of,
    read_settings,
    settings_of,
    settings_of_all_sources,
)
from finscale.storage import write_csv, write_json
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
LATER_KEY = USUAL | {"train.new_key": "as before"}
KNOWN = {digest_of(one): one for one in (USUAL, LONGER, LATER_KEY)}


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
        ("train.learning_rate", 0.001),
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


def rows(settings: Settings | None, *budgets: str, **columns: Any) -> pd.DataFrame:
    """The committed ledger's newest runs of these budgets (all: its ladder), under other settings and keys."""
    ledger = read_ledger(ROOT / "results/ledger.csv")
    mine = ledger[[study_name(row) == LADDER for row in ledger.to_dict("records")]]
    newest = mine.drop_duplicates(["budget", "seed"], keep="last")
    chosen = newest[newest["budget"].isin(budgets)] if budgets else newest
    digest = digest_of(settings) if settings else ""
    return chosen.assign(settings=digest, key=[f"{digest}{key}" for key in chosen["key"]], **columns)


def test_a_run_with_other_epochs_neither_enters_the_ladder_s_curve_nor_replaces_its_runs() -> None:
    ladder, longer = rows(USUAL), rows(LONGER, "10K", "1M", test_loss=9.0)
    named = name_experiments(pd.concat([ladder, longer]), KNOWN, settings_of_all_sources(PARAMS))
    assert named.loc[named["experiment"] == LADDER, "key"].tolist() == ladder["key"].tolist()
    other = named[named["experiment"] == f"{LADDER}-{digest_of(LONGER)[:6]}"]
    assert other["key"].tolist() == longer["key"].tolist()
    assert set(other["differs"]) == {"train.epochs=60"}
    assert "Settings of its own: train.epochs=60." in generate_experiment_summary_report(named)


def test_today_s_settings_have_the_plain_name_else_those_of_most_runs_have_it(tmp_path: Path) -> None:
    both = pd.concat([rows(LONGER, "10K"), rows(USUAL)])
    today = settings_of_all_sources(changed("train.epochs", 60))
    named = name_experiments(both, KNOWN, today)
    assert set(named.loc[named["experiment"] == LADDER, "settings"]) == {digest_of(LONGER)}
    write_csv(tmp_path / "ledger.csv", both)
    write_json(tmp_path / "settings.json", KNOWN)
    loaded = load_experiment_results(tmp_path / "ledger.csv")
    assert set(loaded.loc[loaded["experiment"] == LADDER, "settings"]) == {digest_of(USUAL)}
    equal = name_experiments(pd.concat([rows(LONGER, "10K"), rows(USUAL, "10K")]), KNOWN)
    assert set(equal.loc[equal["experiment"] == LADDER, "settings"]) == {digest_of(LONGER)}


def test_a_key_that_came_later_parts_no_runs_and_two_values_of_it_do() -> None:
    other = USUAL | {"train.new_key": "otherwise"}
    old, new, unlike = rows(USUAL, "10K", "30K"), rows(LATER_KEY, "30K", "1M"), rows(other, "1M")
    named = name_experiments(pd.concat([old, new, unlike]), KNOWN | {digest_of(other): other}, LATER_KEY)
    ladder = named[named["experiment"] == LADDER]
    assert sorted(set(ladder["budget"])) == ["10K", "1M", "30K"]
    assert set(ladder.loc[ladder["budget"] == "30K", "settings"]) == {digest_of(LATER_KEY)}  # the newest counts
    assert set(named.loc[named["experiment"] != LADDER, "settings"]) == {digest_of(other)}


def test_rows_from_before_the_column_are_on_the_plain_curve_and_newer_runs_replace_them() -> None:
    old, new = rows(None), rows(USUAL, "10K")
    named = name_experiments(pd.concat([old, new]), KNOWN)
    assert set(named["experiment"]) == {LADDER}
    assert len(named) == len(old)
    assert set(named.loc[named["budget"] == "10K", "settings"]) == {digest_of(USUAL)}


def test_new_rows_never_move_old_ones_to_another_curve() -> None:
    before = pd.concat([rows(USUAL, "10K", "30K"), rows(LONGER, "10K")])
    after = pd.concat([before, rows(LATER_KEY, "1M"), rows(LONGER, "1M")])
    named = [name_experiments(one, KNOWN).set_index("key")["experiment"] for one in (before, after)]
    assert named[1].loc[named[0].index].equals(named[0])


def test_equal_compute_takes_runs_of_other_epochs_and_of_no_other_difference() -> None:
    worse = settings_of(changed("label.price", "high", changed("train.epochs", 60)))
    known, today = KNOWN | {digest_of(worse): worse}, settings_of_all_sources(PARAMS)
    ladder = rows(USUAL)
    longer = rows(LONGER, train_flops=ladder["train_flops"].to_numpy() * 2)
    high = rows(worse, train_flops=ladder["train_flops"].to_numpy() * 4)
    runs = runs_by_compute(pd.concat([ladder, longer, high]), LADDER, known, today)
    assert sorted(runs["train_flops"]) == sorted([*ladder["train_flops"], *longer["train_flops"]])
    # Stopped early at the compute of a shorter run, a longer one does not take its place.
    assert len(runs_by_compute(pd.concat([ladder, rows(LONGER)]), LADDER, known, today)) == 2 * len(ladder)
    # None of today's own epochs has been run: those of other epochs are there all the same.
    assert len(runs_by_compute(longer, LADDER, known, today)) == len(longer)
    assert runs_by_compute(pd.concat([ladder, longer]), "another study", known, today).empty


def test_at_equal_compute_newer_code_replaces_a_run_also_where_it_stopped_at_another_epoch() -> None:
    today = settings_of_all_sources(PARAMS)
    usual, longer = rows(USUAL), rows(LONGER)
    longer["train_flops"] *= 4
    again = rows(USUAL, code="newer", test_loss=0.4)
    again["train_flops"] *= 1.2  # two epochs later
    runs = runs_by_compute(pd.concat([usual, longer, again]), LADDER, KNOWN, today)
    assert sorted(runs["train_flops"]) == sorted([*longer["train_flops"], *again["train_flops"]])


def test_no_figure_mixes_settings(tmp_path: Path) -> None:
    usual = pd.concat([rows(USUAL, "10K", "100K"), rows(USUAL, "10K", "100K", tier="a50")])
    longer = pd.concat([rows(LONGER, "10K", "100K"), rows(LONGER, "10K", "100K", tier="a100")])
    named = name_experiments(pd.concat([usual, longer]), KNOWN, settings_of_all_sources(PARAMS))
    drawn = {path.stem for path in draw_gallery(named, LADDER, tmp_path)}
    assert not [name for name in drawn if name.startswith("features-")]  # three tiers, but of two settings
    interactions = {name for name in drawn if name.startswith("interaction-budget-tier")}
    assert {name.endswith(digest_of(LONGER)[:6]) for name in interactions} == {True, False}


def test_settings_that_are_lost_or_edited_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"settings\.json lacks {digest_of(USUAL)}"):
        name_experiments(rows(USUAL), {})
    write_json(tmp_path / "settings.json", {digest_of(USUAL): LONGER})
    with pytest.raises(InputError, match=f"{digest_of(USUAL)} is no digest of what stands there"):
        read_settings(tmp_path / "settings.json")


def test_the_stage_reads_every_block_that_settings_come_from() -> None:
    read = Params.model_validate({key: value for key, value in PARAMS.items() if key in Params.model_fields})
    assert read.settings() == settings_of_all_sources(PARAMS)
    assert agree(read.settings(), USUAL)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A repository with two finished experiments, of 30 and 60 epochs, made of the committed results."""

    def git(*command: str) -> str:
        name = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
        done = subprocess.run(["git", *name, *command], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    for folder in ("finscale", "stages", "study", "metrics"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "baseline")
    baseline = git("rev-parse", "HEAD")
    for epochs in (30, 60):
        git("reset", "-q", "--soft", baseline)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed("train.epochs", epochs)))
        git("add", "-A")
        git("commit", "-q", "-m", f"{epochs} epochs")
        git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/epochs-{epochs}", "HEAD")
    return tmp_path


def test_two_collectors_write_each_run_and_its_settings_once_and_again_adds_nothing(finished: Path) -> None:
    def start() -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(finished)}
        command = [sys.executable, "-m", "study.collect"]
        return subprocess.Popen(command, cwd=finished, env=environment, stdout=subprocess.PIPE, text=True)

    both = [start(), start()]
    told = [one.communicate(timeout=120)[0] for one in both]
    assert sorted("2 new" in words for words in told) == [False, True], told
    ledger, known = (finished / "results" / name for name in ("ledger.csv", "settings.json"))
    named = load_experiment_results(ledger)
    assert named["experiment"].nunique() == 2
    assert sorted(one["train.epochs"] for one in read_settings(known).values()) == [30, 60]
    assert list(read_settings(known)) == read_ledger(ledger)["settings"].tolist()
    before = ledger.read_bytes(), known.read_bytes()
    assert "0 new" in start().communicate(timeout=120)[0]
    assert (ledger.read_bytes(), known.read_bytes()) == before
