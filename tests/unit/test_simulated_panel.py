"""A simulated panel: every symbol's chance of a rise is known, and what it depends on is among the features."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from finscale.data.bars import adjust
from finscale.data.labels import label
from finscale.data.validation import validate
from finscale.indicators.catalogue import compute
from finscale.sources.config import SimulatedConfig
from finscale.sources.simulated import last_sessions
from finscale.sources.simulated_bound import best_log_loss, entropy
from finscale.sources.simulated_panel import Panel, simulate_panel, simulate_symbols
from finscale.sources.simulated_teacher import QUANTITIES, Teacher
from finscale.storage import md5_of

DAYS = last_sessions(date(1990, 1, 1), date(2023, 12, 29), 800)
TEACHER = SimulatedConfig(market="teacher", symbols=60, signal=5, complexity=2)


@pytest.fixture(scope="module")
def teacher() -> Panel:
    return simulate_panel(TEACHER, DAYS)


def rises(panel: Panel) -> np.ndarray:
    """(T - 1, S) the label of the pipeline: direction, one session ahead."""
    own = [label(adjust(frame).set_index("date"), "direction", 1)["label"] for frame in panel.frames().values()]
    return np.column_stack(own)


@pytest.mark.parametrize(
    ("market", "md5"),
    [("random_walk", "04375c1a449c3981c31113a2342dc772"), ("planted", "b31def1f6130e276cb1aa22a8a14c168")],
)
def test_one_symbol_is_the_market_that_it_was(market: str, md5: str, tmp_path: Path) -> None:
    path = tmp_path / "SIM.parquet"
    frames = simulate_symbols(SimulatedConfig(market=market, seed=3), DAYS)
    frames["SIM"].to_parquet(path, index=False)  # as pandas writes it: the market, not how files are laid out
    assert (list(frames), md5_of(path)) == (["SIM"], md5)


def test_the_features_show_everything_that_the_teachers_law_depends_on(teacher: Panel) -> None:
    shown = [
        compute(frame.set_index("date"), "a20", levels="relative")[list(QUANTITIES)].fillna(0.0).to_numpy()
        for frame in list(teacher.frames().values())[:5]
    ]
    law = Teacher([np.random.default_rng([TEACHER.seed, 0, 0])], len(shown), TEACHER.signal, TEACHER.complexity)
    chance = np.array([law.after(quantities_KS) for quantities_KS in np.stack(shown, axis=2)])
    np.testing.assert_allclose(chance[200:], teacher.chance[200:, :5], atol=1e-5)


def test_labels_are_drawn_with_the_teachers_chance(teacher: Panel) -> None:
    chance, rose = teacher.chance[:-1], rises(teacher)
    by_day = (rose - chance).mean(axis=1)  # symbols of a day go together
    assert abs(by_day.mean()) < 3 * by_day.std() / np.sqrt(len(by_day))
    for low in np.arange(0, 1, 0.1):
        inside = (chance >= low) & (chance < low + 0.1)
        spread = 3 * 0.5 / np.sqrt(inside.sum()) * 2  # the factor makes it wider than that of independent draws
        assert abs(rose[inside].mean() - chance[inside].mean()) < spread


def test_no_forecast_loses_less_than_the_teachers_entropy_and_the_law_itself_loses_that(teacher: Panel) -> None:
    chance, rose = teacher.chance[300:-1], rises(teacher)[300:]
    of_law = -np.log(np.where(rose, chance, 1 - chance)).mean(axis=1)
    least = entropy(chance).mean()
    assert abs(of_law.mean() - least) < 3 * of_law.std() / np.sqrt(len(of_law))
    assert best_log_loss(TEACHER) == pytest.approx(least, abs=0.01)
    assert least < 0.25 < np.log(2)  # far from knowing nothing: measured 0.20
    assert best_log_loss(SimulatedConfig(market="planted", symbols=9, signal=1)) == pytest.approx(0.5)


def test_a_straight_line_falls_short_of_the_law(teacher: Panel) -> None:
    # Yesterday's direction alone says much of tomorrow's, by far not all.
    rose = rises(teacher)
    by_yesterday = entropy(np.array([rose[1:][rose[:-1] == side].mean() for side in (0, 1)])).mean()
    assert by_yesterday > entropy(teacher.chance).mean() + 0.2


def test_symbols_share_a_factor_and_have_volatilities_of_their_own() -> None:
    panels = [simulate_panel(SimulatedConfig(market="planted", signal=0, symbols=30, common=c), DAYS) for c in (0, 0.4)]
    returns = [np.diff(np.log(panel.bars["close"]), axis=0) for panel in panels]
    apart = np.triu_indices(30, 1)
    mean_correlation = [np.corrcoef(one.T)[apart].mean() for one in returns]
    assert mean_correlation == pytest.approx([0, 0.4], abs=0.03)
    deviations = returns[0].std(axis=0)
    assert np.log(deviations).std() == pytest.approx(0.3, abs=0.1)
    assert stats.kstest(returns[1][:, 3] / returns[1][:, 3].std(), "norm").pvalue > 0.01


@pytest.mark.parametrize("law", ["shared", "own"])
@pytest.mark.parametrize("market", ["random_walk", "planted", "teacher"])
def test_a_symbol_is_the_same_among_few_and_many(market: str, law: str) -> None:
    config = SimulatedConfig(market=market, law=law, signal=2, complexity=2)
    few, many = (simulate_symbols(config.model_copy(update={"symbols": n}), DAYS) for n in (3, 12))
    assert list(few) == ["SIM001", "SIM002", "SIM003"]
    for name, frame in few.items():
        pd.testing.assert_frame_equal(frame, many[name])
        assert validate(name, "prices", frame) == []
    assert not np.allclose(few["SIM001"]["close"], few["SIM002"]["close"])


def test_a_law_of_its_own_makes_half_of_the_planted_symbols_turn_and_half_go_on() -> None:
    config = SimulatedConfig(market="planted", symbols=40, signal=2)
    for law, share in (("shared", 1.0), ("own", 0.5)):
        rose = rises(simulate_panel(config.model_copy(update={"law": law}), DAYS))
        goes_on = (rose[1:] == rose[:-1]).mean(axis=0)
        assert set(goes_on.round()) <= {0.0, 1.0}
        assert (goes_on > 0.7).mean() == pytest.approx(share, abs=0.25)
        assert ((goes_on > 0.7) | (goes_on < 0.3)).all()


def test_a_teacher_of_its_own_tells_one_symbol_nothing_of_another() -> None:
    own = simulate_panel(TEACHER.model_copy(update={"law": "own", "symbols": 2}), DAYS)
    other = simulate_panel(TEACHER.model_copy(update={"symbols": 2}), DAYS)
    assert np.allclose(own.chance[:, 0], other.chance[:, 0])
    assert abs(own.chance[:, 1] - other.chance[:, 1]).mean() > 0.2
