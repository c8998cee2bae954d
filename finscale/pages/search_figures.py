"""Figures of a study: history, parameter importance, parallel coordinates."""

from pathlib import Path

import matplotlib
import numpy as np
import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from finscale.pages.figure import panels, save
from finscale.pages.style import ACCENT, INK, MUTED

_FEWEST = 4  # complete trials; fewer say nothing about importance


def draw_figures(study: optuna.Study, folder: Path) -> None:
    """Write history.png, and with enough complete trials importance.png and parallel_coordinates.png."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    save(_history(done), folder / "history.png")
    if len(done) >= _FEWEST and len({trial.value for trial in done}) > 1:
        save(_importance(study), folder / "importance.png")
        save(_parallel(done), folder / "parallel_coordinates.png")


def _history(done: list[FrozenTrial]) -> Figure:
    figure, [axes] = panels(1, 1, 7, 4)
    numbers, values = [trial.number for trial in done], np.array([trial.value for trial in done])
    axes.plot(numbers, values, "o", color=MUTED, label="complete trial")
    axes.step(numbers, np.minimum.accumulate(values), where="post", color=ACCENT, label="best so far")
    axes.set(xlabel="trial", ylabel="validation loss")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    axes.legend()
    axes.set_title("Validation loss over the search")
    return figure


def _importance(study: optuna.Study) -> Figure:
    """fANOVA (Hutter et al. 2014): the share of the loss's variance that each parameter explains."""
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    figure, [axes] = panels(1, 1, 7, 0.35 * len(shares) + 1.2)
    names = list(shares)[::-1]
    axes.barh(names, [shares[name] for name in names], color=ACCENT)
    axes.set(xlabel="share of the variance of the loss (fANOVA)")
    axes.set_title("Which parameters matter")
    return figure


def _parallel(done: list[FrozenTrial]) -> Figure:
    """Every complete trial a line over its parameters, each scaled to the values that were tried; dark is good."""
    names = sorted(set.intersection(*(set(trial.params) for trial in done)))
    columns = [_positions([trial.params[name] for trial in done], done[0].distributions[name]) for name in names]
    ranks = np.argsort(np.argsort(np.array([trial.value for trial in done]))) / max(1, len(done) - 1)
    figure, [axes] = panels(1, 1, max(7.0, 1.1 * len(names)), 4.5)
    for index in np.argsort(-ranks):
        heights = [column[index] for column in columns]
        axes.plot(heights, color=matplotlib.colormaps["viridis"](0.95 * ranks[index]), alpha=0.8, linewidth=1.2)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", color=INK)
    axes.set_yticks([0, 1], ["low", "high"])
    axes.set_title("Complete trials (dark: low validation loss)")
    return figure


def _positions(values: list, distribution: optuna.distributions.BaseDistribution) -> np.ndarray:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return np.array([distribution.choices.index(value) for value in values]) / max(1, len(distribution.choices) - 1)
    numbers = np.array(values, dtype=float)
    if getattr(distribution, "log", False):
        numbers = np.log(numbers)
    spread = numbers.max() - numbers.min()
    return (numbers - numbers.min()) / spread if spread else np.full(len(numbers), 0.5)
