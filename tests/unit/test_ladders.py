"""The ladders that control the verdict: what they set, which runs are theirs, and what is said of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import study.ladders
from finscale.config import check_params, parse_budget
from finscale.data.config import SplitDates
from finscale.indicators.catalogue import features_of
from finscale.model.shape import solve
from finscale.pages.render import render
from finscale.scaling.ledger import read_ledger
from finscale.scaling.phases import load_phase
from finscale.sources.config import DataConfig
from finscale.sources.simulated import last_sessions
from finscale.sources.simulated_panel import simulate_panel
from finscale.storage import write_csv
from finscale.training.config import TrainConfig
from study.experiments import params_with
from study.ladders import LADDERS, judged, ladder
from study.ladders_page import told_of_ladders
from study.noiseless import chance_on, expected
from study.phase import all_settings
from tests.planted_days import write_days

PHASES = ("teacher", "walk", "data", "dense")


def params(phase: str) -> dict[str, object]:
    return params_with(load_phase(LADDERS, phase)[0].axes | all_settings(LADDERS, phase))


@pytest.mark.parametrize("phase", PHASES)
def test_every_size_of_a_ladder_can_be_built_on_settings_that_are_allowed(phase: str) -> None:
    told = params(phase)
    train, data = check_params(TrainConfig, told["train"], LADDERS), check_params(DataConfig, told["data"], LADDERS)
    channels = len(features_of("a20", "daily", "relative"))
    assert told["features"]["levels"] == "relative"
    for row in load_phase(LADDERS, phase):
        assert phase != "dense" or solve(parse_budget(row.axes["budget"]), train.model, channels)
    dates = SplitDates.model_validate(told["dataset"]["split"]["live"])
    days = last_sessions(data.start, data.end, data.simulated.sessions)
    tested, trained = (days > pd.Timestamp(dates.validation_end)).sum(), (days <= pd.Timestamp(dates.train_end)).sum()
    assert (tested, trained) == (250, 1900)


def test_the_negative_control_differs_in_its_market_alone() -> None:
    teacher, walk = params("teacher"), params("walk")
    assert (teacher["data"]["simulated"].pop("market"), walk["data"]["simulated"].pop("market")) == (
        "teacher",
        "random_walk",
    )
    assert teacher == walk
    assert [row.axes for row in load_phase(LADDERS, "teacher")] == [row.axes for row in load_phase(LADDERS, "walk")]
    assert all_settings(LADDERS, "dense") == all_settings(LADDERS, "teacher") == all_settings(LADDERS, "data")


def test_what_the_noiseless_ladder_is_held_against_shares_no_run_with_it() -> None:
    names = [{row.run_name for row in load_phase(LADDERS, phase)} for phase in ("teacher", "dense")]
    seeds = [{row.axes["seed"] for row in load_phase(LADDERS, phase)} for phase in ("teacher", "dense")]
    assert not names[0] & names[1]
    assert not seeds[0] & seeds[1]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Rows of all four phases: the teacher's losses fall, those on the walk do not, and more windows help."""
    template = read_ledger(Path("results/ledger.csv")).iloc[0]
    rows = []
    for phase in PHASES:
        for at, row in enumerate(load_phase(LADDERS, phase)):
            size, windows = parse_budget(row.axes["budget"]), 75_000 * (row.axes["history"] or 6)
            loss = 0.69 if phase == "walk" else 0.3 + 0.5 * size**-0.2 + 0.5 * windows**-0.2
            own = dict(row.axes) | {
                "key": f"{phase:_<8}{at:08d}",
                "name": f"{row.run_name}-abcdef",
                "params_total": size,
            }
            own |= {
                "train_windows": windows,
                "windows_seen": windows,
                "test_loss": loss,
                "epochs_run": 1,
                "best_epoch": 1,
            }
            rows.append(template.to_dict() | own)
    noise = np.random.default_rng(0).normal(scale=2e-4, size=len(rows))
    table = pd.DataFrame(rows).assign(test_loss=lambda one: one["test_loss"] * np.exp(noise))
    table = table.assign(test_loss_low=table["test_loss"] - 0.01, test_loss_high=table["test_loss"] + 0.01)
    write_csv(tmp_path / "ledger.csv", table[[name for name in template.index if name in table]])
    (tmp_path / "settings.json").write_text("{}")
    write_days(tmp_path, table, day_slope=0.0005)
    for module in (study.ladders,):
        monkeypatch.setattr(module, "LEDGER", tmp_path / "ledger.csv")
        monkeypatch.setattr(module, "SETTINGS", tmp_path / "settings.json")
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    found = table.assign(expected_loss=table["test_loss"], bound=0.3)[["key", "name", "expected_loss", "bound"]]
    write_csv(tmp_path / "noiseless.csv", found)
    monkeypatch.setattr("study.noiseless.TABLE", tmp_path / "noiseless.csv")
    return table


def test_each_ladder_has_its_own_runs_and_the_ordinary_verdict(ledger: pd.DataFrame) -> None:
    assert {phase: len(ladder(phase)) for phase in PHASES} == {"teacher": 8, "walk": 8, "data": 12, "dense": 7}
    teacher, walk = judged(("teacher", "walk"))
    assert teacher.report["verdict"] == "scaling"
    assert walk.report["verdict"] == "flat"
    assert teacher.fit.exponent.alpha.low > 0 > walk.fit.exponent.alpha.low


def test_the_page_has_verdicts_the_noiseless_exponent_and_the_law_of_data(ledger: pd.DataFrame, tmp_path: Path) -> None:
    told = told_of_ladders(tmp_path / "controls.png")
    assert (tmp_path / "controls.png").stat().st_size > 20_000
    assert [one["verdict"].split(":")[0] for one in told["ladders"]] == ["scaling", "flat"]
    assert told["dense"]["sizes"] == "7"
    assert told["dense"]["holds"] == "holds it"
    assert [row["training windows"] for row in told["data"]["rows"]] == ["75,000", "225,000", "450,000"]
    assert [row["seeds"] for row in told["data"]["rows"]] == ["2", "2", "2"]
    [words] = told["data"]["laws"]
    assert "L(N, D) over 20 runs" in words
    assert told["bound"] == "0.3000"


def test_before_anything_has_run_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study.ladders, "LEDGER", tmp_path / "none.csv")
    monkeypatch.setattr("study.noiseless.TABLE", tmp_path / "none-either.csv")
    told = told_of_ladders(tmp_path / "controls.png")
    assert [one["verdict"] for one in told["ladders"]] == ["not run yet"] * 2
    assert told["dense"] is None
    assert told["data"]["laws"] == []
    text = render("controls.md.j2", signal="1", runs=[{"tier": "a20"}], norm=[{"complexity": "1"}], **told)
    assert text.count("**not run yet**") == 2


def test_a_forecast_of_the_law_itself_loses_the_bound_and_any_other_more() -> None:
    settings = {"simulated": {"market": "teacher", "symbols": 3, "sessions": 600, "signal": 5}}
    data = check_params(DataConfig, params_with({})["data"] | settings, LADDERS)
    panel = simulate_panel(data.simulated, last_sessions(data.start, data.end, 600))
    rows = pd.DataFrame({"date": panel.days.repeat(3), "asset": panel.names * 600}).sample(400, random_state=0)
    by_hand = [panel.chance[panel.days.get_loc(day), int(name[-1]) - 1] for day, name in rows.to_numpy()]
    chance = chance_on(data, rows)
    np.testing.assert_array_equal(chance, by_hand)
    loss, bound = expected(chance, chance)
    assert loss == pytest.approx(bound, abs=1e-5)
    assert expected(chance, np.full(400, 0.5))[0] == pytest.approx(np.log(2))
    assert expected(chance, np.clip(chance, 0.1, 0.9))[0] > bound
