"""Figures say what is so: with their intervals, and nothing where nothing is established."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.api
from matplotlib.figure import Figure

from finscale.evaluation.ranking import rankings
from finscale.pages import factor_figures, run_figures, scaling_figures
from finscale.pages.factor_figures import bend_is_established, effect_is_established
from finscale.pages.style import loss_unit, shown
from finscale.scaling.band import seeds_band
from finscale.scaling.laws.interactions import two_way_interaction
from finscale.scaling.laws.power_law import fit_with_interval
from finscale.scaling.laws.saturation import Saturation, fit_saturation

SIZES = np.repeat([10_000, 30_000, 100_000, 300_000, 1_000_000], 3)
NOISE = np.random.default_rng(0).normal(0, 0.01, len(SIZES))
LOSSES = 0.6 * (SIZES / 1e5) ** -0.02 * np.exp(NOISE)


@contextmanager
def drawn(module: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures of a module as they are when they would be written."""
    figures: list[Figure] = []

    def keep(figure: Figure, path: Path) -> None:
        figure.canvas.draw()
        figures.append(figure)

    monkeypatch.setattr(module, "save", keep)
    yield figures
    plt.close("all")


def study(task: str = "direction", **columns: float) -> pd.DataFrame:
    return pd.DataFrame({"params_total": SIZES, "test_loss": LOSSES, "task": task, "base_rate_loss": 0.69}).assign(
        **columns
    )


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for one in figure.legends for text in one.get_texts()]


def test_the_band_is_that_of_least_squares() -> None:
    law, at = fit_with_interval(SIZES, LOSSES), np.array([1e4, 2e5, 1e6])
    band = seeds_band(law, SIZES, at)
    ols = statsmodels.api.OLS(np.log(LOSSES), statsmodels.api.add_constant(np.log(SIZES))).fit()
    expected = np.exp(ols.get_prediction(np.column_stack([np.ones(3), np.log(at)])).conf_int())
    assert np.column_stack([band.low, band.high]) == pytest.approx(expected)


def test_the_curve_has_its_band_its_seeds_and_the_lines_to_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    law = fit_with_interval(SIZES, LOSSES)
    with drawn(scaling_figures, monkeypatch) as figures:
        told = study(volatility_loss=0.59, catboost_loss=0.58)
        scaling_figures.plot_scaling_curve(told, law, "Test loss by model size", Path("curve.png"))
        [figure] = figures
        [axes] = figure.axes
        words = legend(figure)
        for expected in (
            "base rate 0.69",
            "GARCH 0.59",
            "CatBoost 0.58",
            "PatchTST, one seed",
            "95 % interval of the law, over seeds",
        ):
            assert expected in words
        [band] = axes.collections
        (left, low), (right, high) = band.get_datalim(axes.transData).get_points()
        assert (left, right) == pytest.approx((1e4, 1e6))
        assert low < law(np.array([1e6]))[0] < law(np.array([1e4]))[0] < high
        ticks = [label.get_text() for label in axes.get_xticklabels() if label.get_text()]
        assert ticks == ["10K", "30K", "100K", "300K", "1M"]


def test_a_regression_s_losses_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with drawn(scaling_figures, monkeypatch) as figures:
        told = study("regression").assign(test_loss=LOSSES / 1000, base_rate_loss=0.00065)
        scaling_figures.plot_scaling_curve(told, None, "title", Path("curve.png"))
        [axes] = figures[0].axes
        assert axes.get_ylabel() == "test loss (squared error, %²)"
        assert 1 < axes.get_ylim()[0] < axes.get_ylim()[1] < 10
        assert "base rate 6.5" in legend(figures[0])


@pytest.mark.parametrize("epochs", [1, 2, 3, 30])
def test_ticks_stand_at_whole_epochs(epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = pd.DataFrame(
        {"epoch": np.arange(1, epochs + 1), "train": 0.6, "validation": np.linspace(0.7, 0.6, epochs)}
    )
    scores = [
        {"model": "model", "loss": 0.6, "low": 0.5, "high": 0.7},
        {"model": "volatility", "loss": 0.6, "low": 0.5, "high": 0.7},
    ]
    with drawn(run_figures, monkeypatch) as figures:
        run_figures.plot_run(losses, scores, None, loss_unit("direction"), Path("run.png"), 0.9)
        curves, models = figures[0].axes  # of a regression: no empty panel for rates that it has not
        assert all(float(tick).is_integer() for tick in curves.get_xticks())
        assert [label.get_text() for label in models.get_yticklabels()] == ["GARCH", "PatchTST"]
        assert models.get_title("left") == "test loss, 90 % interval over days"


def test_two_values_are_a_dot_beside_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200).astype(float)
    test = pd.DataFrame(
        {"label": label, "model": label + rng.normal(size=200), "persistence": rng.choice([0.3, 0.4], 200)}
    )
    with drawn(run_figures, monkeypatch) as figures:
        run_figures.plot_ranking(rankings(test, ["model", "persistence"]), None, label.mean(), Path("ranking.png"))
        for axes in figures[0].axes:
            lines = {line.get_label().split()[0]: line for line in axes.lines}
            assert (lines["persistence"].get_linestyle(), len(lines["persistence"].get_xdata())) == ("None", 1)
            assert lines[shown("model")].get_linestyle() == "-"
        assert figures[0].axes[1].lines[0].get_drawstyle() == "steps-post"


def test_a_bend_is_shaded_where_an_effect_is_established_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.repeat([20.0, 50, 100, 200, 500], 3)
    noise = np.tile([-0.002, 0, 0.002], 5)
    bent, flat = np.exp(-0.2 * np.log(np.minimum(features, 100)) + noise), np.exp(noise)
    found = {"bent": fit_saturation(features, bent), "flat": fit_saturation(features, flat)}
    assert [effect_is_established(fit) for fit in found.values()] == [True, False]
    assert [bend_is_established(fit, features) for fit in found.values()] == [True, False]
    rising: Saturation = replace(found["bent"], slope_low=-0.3, slope_high=-0.1)  # more features raise the error
    assert (effect_is_established(rising), bend_is_established(rising, features)) == (True, False)
    with drawn(factor_figures, monkeypatch) as figures:
        for losses, fit in ((bent, found["bent"]), (flat, found["flat"])):
            factor_figures.plot_feature_saturation(features, losses, fit, "name", Path("features.png"))
        shaded, plain = (len(figure.axes[0].patches) for figure in figures)
        assert (shaded, plain) == (1, 0)
        assert any("no effect of features established" in words for words in legend(figures[1]))


def test_an_interaction_that_no_square_shows_has_no_empty_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [("10K", "a20"), ("10K", "a50"), ("30K", "a50")]
    rows = [
        {"budget": budget, "tier": tier, "test_loss": 0.6 + seed / 100} for budget, tier in cells for seed in range(2)
    ]
    whole = [*rows, *({"budget": "30K", "tier": "a20", "test_loss": 0.61 + seed / 100} for seed in range(2))]
    with drawn(factor_figures, monkeypatch) as figures:
        for runs in (rows, whole):
            found = two_way_interaction(pd.DataFrame(runs), "budget", "tier")
            factor_figures.plot_interaction(found, "name", Path("interaction.png"))
        assert [len(figure.axes) for figure in figures] == [1, 2]


@pytest.mark.parametrize(("task", "words", "most"), [("regression", "return, %", 3), ("volatility", "log of", 0.03)])
def test_what_has_no_rates_is_shown_in_its_own_unit(
    task: str, words: str, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = pd.DataFrame({"model": [-0.01, 0.0, 0.01], "label": [-0.02, 0.01, 0.03]})
    with drawn(run_figures, monkeypatch) as figures:
        run_figures.plot_scatter(test, task, Path("scatter.png"))
        [axes] = figures[0].axes
        assert words in axes.get_xlabel()
        assert axes.get_ylim()[1] == pytest.approx(most)
