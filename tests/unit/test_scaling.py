"""The power law and the ledger: a planted exponent is found, a key tells all that matters, no row changes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.config import parse_budget
from finscale.errors import InputError
from finscale.identity import study_name
from finscale.pages.scaling_figures import plot_scaling_curve
from finscale.scaling.laws.power_law import fit_power_law, fit_with_interval
from finscale.scaling.ledger import AXES, add_rows, experiment_key, make_row, read_ledger
from finscale.scaling.results import name_experiments
from finscale.storage import write_csv

SIZES = np.array([1e4, 3e4, 1e5, 3e5, 1e6])
SETTINGS = "0123456789ab"
PARAMS = {"budget": "10K", "seed": 0, "train": {"learning_rate": 1e-4}}


def test_an_exact_law_is_found_exactly() -> None:
    alpha, a, r_squared = fit_power_law(SIZES, 2.5 * SIZES**-0.07)
    assert (alpha, a, r_squared) == pytest.approx((0.07, 2.5, 1.0))


def test_the_interval_covers_the_planted_exponent_as_often_as_it_says() -> None:
    sizes, covered = np.repeat(SIZES, 3), 0
    for seed in range(300):
        noise = np.random.default_rng(seed).normal(scale=0.02, size=len(sizes))
        law = fit_with_interval(sizes, 0.6 * sizes**-0.01 * np.exp(noise))
        covered += law.alpha_low <= 0.01 <= law.alpha_high
    assert 0.92 <= covered / 300 <= 0.98


@pytest.mark.parametrize(
    ("sizes", "errors", "message"),
    [([1e4, 1e4, 1e5], [1, 1, 1], "at least 3 sizes, found 2"), ([1e4, 1e5, 1e6], [1, 0, 1], "positive")],
)
def test_a_fit_that_means_nothing_is_refused(sizes: list, errors: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_power_law(np.array(sizes), np.array(errors))


@pytest.mark.parametrize(
    ("params", "code", "data"),
    [
        (PARAMS | {"seed": 1}, "c", "d"),
        (PARAMS | {"train": {"learning_rate": 2e-4}}, "c", "d"),
        (PARAMS, "other", "d"),
        (PARAMS, "c", "other"),
    ],
)
def test_a_key_changes_with_all_that_can_change_a_result(params: dict, code: str, data: str) -> None:
    assert experiment_key(params, code, data) != experiment_key(PARAMS, "c", "d")
    assert experiment_key(dict(reversed(PARAMS.items())), "c", "d") == experiment_key(PARAMS, "c", "d")


def row(
    budget: str,
    seed: int,
    key: str,
    timestamp: str = "2026-01-01T00:00:00+00:00",
    scheme: str = "single",
    more: dict | None = None,  # of metrics/experiment.json
) -> dict:
    score = {"value": 0.5, "low": 0.4, "high": 0.6}
    values = dict.fromkeys(AXES, "x") | {"budget": budget, "seed": seed, "horizon": 5, "scheme": scheme}
    run = dict.fromkeys(
        ("params_embedding", "params_body", "params_head", "channels", "flops_per_window", "train_flops",
         "train_windows", "windows_seen", "tokens_seen", "epochs_run", "best_epoch"), 1
    ) | {"validation_loss": 0.5}  # fmt: skip
    experiment = {
        "axes": values, "run": run | {"params_total": parse_budget(budget)}, "test_rows": 700, "prediction_std": 0.1,
        "collapsed": False, "compute": {"device": "cpu", "precision": "bf16", "threads": 1, "torch": "2"},
        "scores": {
            "models": {name: {"loss": score, "skill": score} for name in ("model", "base_rate")},
            "other": {"accuracy": score},
        },
    }  # fmt: skip
    told = {
        "name": f"n-{key}",
        "commit": "0123",
        "code": "00e1",
        "data": "d",
        "settings": "0123456789ab",
        "timestamp": timestamp,
    }
    return make_row(key, told, experiment | (more or {}), {"train_seconds": 1.0, "windows_per_second": 2.0})


def test_collecting_twice_adds_nothing(tmp_path: Path) -> None:
    path, rows = tmp_path / "ledger.csv", [row("10K", 0, "a1"), row("30K", 0, "0007")]
    write_csv(path, add_rows(read_ledger(path), rows))
    first = path.read_bytes()
    again = add_rows(read_ledger(path), rows)
    assert len(again) == 2
    write_csv(path, again)
    assert path.read_bytes() == first
    assert read_ledger(path)["key"].tolist() == ["a1", "0007"]
    assert read_ledger(path)["code"].tolist() == ["00e1", "00e1"]  # hashes stay text


def test_a_row_once_written_is_never_changed() -> None:
    before = add_rows(read_ledger(Path("nowhere.csv")), [row("10K", 0, "a")])
    after = add_rows(before, [row("10K", 0, "a", "2027-01-01T00:00:00+00:00") | {"test_loss": 9.0}, row("30K", 0, "b")])
    assert after["test_loss"].tolist() == [0.5, 0.5]
    assert after["key"].tolist() == ["a", "b"]


def test_a_run_that_is_there_under_another_key_is_not_added_again() -> None:
    before = add_rows(read_ledger(Path("nowhere.csv")), [row("10K", 0, "a")])
    rekeyed = row("10K", 0, "a") | {"key": "b", "code": "00e2"}  # what counts as code is told otherwise
    assert len(add_rows(before, [rekeyed])) == 1
    later = rekeyed | {"timestamp": "2026-01-01T00:00:01+00:00"}
    assert add_rows(before, [later])["key"].tolist() == ["a", "b"]


def curve(ledger: pd.DataFrame, of: dict) -> list[str]:
    """The keys of the runs on one curve."""
    named = name_experiments(ledger, {SETTINGS: {"train.epochs": 30}})
    return sorted(named.loc[named["experiment"] == study_name(of), "key"])


def test_a_study_holds_one_curve_and_the_newest_run_of_each_point() -> None:
    rows = [
        row("10K", 0, "a"),
        row("10K", 0, "b", "2026-01-02T00:00:00+00:00"),
        row("30K", 0, "c"),
        row("30K", 0, "d") | {"task": "direction"},
    ]
    assert curve(pd.DataFrame(rows), row("10K", 0, "a")) == ["b", "c"]


def test_an_older_ledger_takes_newer_columns() -> None:
    older = pd.DataFrame([row("10K", 0, "a")]).drop(columns="test_accuracy")
    after = add_rows(older, [row("30K", 0, "b")])
    assert after["test_accuracy"].isna().tolist() == [True, False]


@pytest.mark.parametrize("ending", ["png", "svg"])
@pytest.mark.parametrize("runs", [0, 2, 5])
def test_the_figure_is_drawn_and_its_bytes_repeat(runs: int, ending: str, tmp_path: Path) -> None:
    study = pd.DataFrame(
        {"params_total": SIZES[:runs], "test_loss": 0.6 * SIZES[:runs] ** -0.01, "base_rate_loss": 0.6}
    )
    law = fit_with_interval(SIZES, 0.6 * SIZES**-0.01) if runs == 5 else None
    paths = [tmp_path / f"{i}.{ending}" for i in range(2)]
    for path in paths:
        plot_scaling_curve(study, law, "a title", path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(paths[0].read_bytes()) > 5000


def test_a_walk_forward_run_is_never_on_a_single_split_s_curve(tmp_path: Path) -> None:
    walk = row("10K", 0, "w", scheme="rolling-10+1+1+1y-embargo5-from2013")
    ledger = pd.DataFrame([row("10K", 0, "a"), row("30K", 0, "b"), walk])
    assert curve(ledger, row("1M", 0, "x")) == ["a", "b"]
    assert curve(ledger, walk) == ["w"]
    assert study_name(walk) == f"{study_name(row('10K', 0, 'a'))}-rolling-10+1+1+1y-embargo5-from2013"
    # Rows older than the column are single splits, and join the curve of newer ones.
    path = tmp_path / "ledger.csv"
    write_csv(path, ledger.head(2).drop(columns="scheme"))
    old = read_ledger(path)
    assert old["scheme"].tolist() == ["single", "single"]
    both = add_rows(old, [row("100K", 0, "c"), walk])
    assert curve(both, row("1M", 0, "x")) == ["a", "b", "c"]
