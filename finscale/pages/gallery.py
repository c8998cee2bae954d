"""Every figure that a ledger can carry beside the one curve: tasks, extrapolation, features, interactions, isoFLOP."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.config import parse_budget
from finscale.pages.factor_figures import plot_feature_saturation, plot_interaction, plot_isoflop, plot_skill_grids
from finscale.pages.grid_figures import plot_data_grid
from finscale.pages.scaling_figures import compare_scaling_across_tasks, plot_extrapolation
from finscale.pages.style import LossUnit, loss_unit
from finscale.scaling.curves import groups_varying, shown
from finscale.scaling.daily import FOLDER as DAILY
from finscale.scaling.fits import CurveFit, paired_runs
from finscale.scaling.isoflop import MIN_LEVELS, compute_levels
from finscale.scaling.laws.checks import count_sizes
from finscale.scaling.laws.contrast import Runs
from finscale.scaling.laws.interactions import two_way_interaction
from finscale.scaling.laws.optimum import isoflop_profiles
from finscale.scaling.laws.power_law import MIN_SIZES
from finscale.scaling.laws.saturation import fit_saturation
from finscale.scaling.ledger import STUDY_AXES
from finscale.scaling.rivals import Difference
from finscale.scaling.skill_grid import SkillGrid, skill_grids

FORMATS = ("png", "svg")
_PROFILE = ("params_total", "train_flops", "test_loss")
_FACTORS = ("budget", "tier", "assets", "quality")  # the axes whose interactions SPEC 1.5 asks about
_PANEL_FIXED = (*(axis for axis in STUDY_AXES if axis not in ("task", "horizon")), "market", "variant")


def draw_gallery(
    runs: pd.DataFrame, study: str, folder: Path, by_compute: pd.DataFrame | None = None,
    refused: pd.DataFrame | None = None, daily: Path = DAILY, fits: Mapping[str, CurveFit] | None = None,
    differences: Sequence[Difference] = (), laws: Sequence[Mapping[str, Any]] = (),
) -> list[Path]:  # fmt: skip
    """Draw all that there are runs for; the files, PNG before SVG.

    runs: of name_experiments, in all versions of their code: each figure takes the newest that is complete for it.
    study: today's curve. Its extrapolation is drawn, and the panels of all tasks and horizons on the same data.
    by_compute: today's runs with all their numbers of epochs (isoflop.runs_by_compute); None: those of the curve.
    refused: of read_refused, for the grids of skill. daily: the folder of losses per day, which intervals are over
    where all runs have them. fits: of fits_of, by curve; None: intervals of curves are over seeds. differences: of
    differences_from_rivals, for the grids. laws: of data_laws, each with its grid of size by data. A figure that
    today's ledger cannot carry is removed, so that the folder never shows an older ledger.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = shown(runs)
    drawn = [
        *_curves(results, study, folder, fits or {}),
        *_features(runs, folder, daily),
        *_interactions(runs, folder, daily),
    ]
    today = results[results["experiment"] == study]
    drawn += _skill_grids(skill_grids(runs, refused, differences), folder)
    drawn += _data_grids(laws, folder)
    drawn += _profiles(today if by_compute is None else by_compute, study, folder)
    for stale in set(folder.iterdir()) - set(drawn):
        stale.unlink()
    return drawn


def feature_count(tier: str) -> int:
    """'a200' -> 200, SPEC 4."""
    return int(tier[1:])


def _files(folder: Path, name: str) -> list[Path]:
    return [folder / f"{name}.{ending}" for ending in FORMATS]


def _curves(results: pd.DataFrame, study: str, folder: Path, fits: Mapping[str, CurveFit]) -> Iterator[Path]:
    today = results[results["experiment"] == study]
    alike = results.merge(today[list(_PANEL_FIXED)].drop_duplicates(), on=list(_PANEL_FIXED))
    for path in _files(folder, "tasks"):  # also of no runs at all: git keeps no empty folder
        compare_scaling_across_tasks(alike, path, fits=fits)
        yield path
    if count_sizes(today["params"].to_numpy(float)) >= MIN_SIZES:
        band = fits[study].forecast_band() if study in fits else None
        for path in _files(folder, f"extrapolation-{study}"):
            plot_extrapolation(today, study, path, {"power law": band} if band else None)
            yield path


def _profiles(runs: pd.DataFrame, study: str, folder: Path) -> Iterator[Path]:
    sizes, flops, losses = (runs.get(name, pd.Series(dtype=float)).to_numpy(float) for name in _PROFILE)
    levels = compute_levels(sizes, flops)
    if len(levels) >= MIN_LEVELS:
        unit = _unit(runs)
        losses = unit.factor * losses
        profiles = isoflop_profiles(sizes, flops, losses, levels)
        for path in _files(folder, f"isoflop-{study}"):
            plot_isoflop(sizes, flops, losses, profiles, study, path, unit)
            yield path


def _features(runs: pd.DataFrame, folder: Path, daily: Path) -> Iterator[Path]:
    for name, mine in groups_varying(runs, ("tier",)):
        features = mine["tier"].map(feature_count).to_numpy(float)
        if 3 <= len(set(features)) < len(features):
            losses = mine["test_loss"].to_numpy(float)
            fit = fit_saturation(features, losses, runs=paired_runs(mine, daily, features, same_training=False))
            for path in _files(folder, f"features-{name}"):
                plot_feature_saturation(features, losses, fit, name, path, unit=_unit(mine))
                yield path


def _interactions(runs: pd.DataFrame, folder: Path, daily: Path) -> Iterator[Path]:
    for first, second in combinations(_FACTORS, 2):
        for name, mine in groups_varying(runs, (first, second)):
            cells = mine.groupby([first, second]).size()
            complete = mine[first].nunique() > 1 and mine[second].nunique() > 1 and cells.max() > 1
            if complete:
                ordered = _ordered(mine, first, second)
                on_days = _same_days(ordered, first, second, daily)
                found = two_way_interaction(ordered, first, second, on_days=on_days)
                if found.effects.empty:  # no complete square of levels: nothing is known of an interaction
                    continue
                for path in _files(folder, f"interaction-{first}-{second}-{name}"):
                    plot_interaction(found, name, path, _unit(mine))
                    yield path


def _same_days(runs: pd.DataFrame, first: str, second: str, daily: Path) -> Runs | None:
    """Losses per day where the axes leave labels and days as they are; other data have days of their own."""
    if {"assets", "quality"} & {first, second}:
        return None
    return paired_runs(runs, daily, np.zeros(len(runs)), same_training=False)


def _skill_grids(found: Iterator[SkillGrid], folder: Path) -> Iterator[Path]:
    for name, grids in groupby(found, key=lambda grid: grid.name):
        of_sizes = list(grids)
        for path in _files(folder, f"horizons-{name}"):
            plot_skill_grids(of_sizes, name, path)
            yield path


def _data_grids(laws: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[Path]:
    for told in laws:
        if "cells" in told["grid"]:
            for path in _files(folder, f"grid-{told['experiment']}"):
                plot_data_grid(told["grid"], path, loss_unit(told["task"]))
                yield path


def _unit(runs: pd.DataFrame) -> LossUnit:
    """Of runs of one task; several tasks stand in panels of their own."""
    return loss_unit(str(runs["task"].iloc[0]))


def _ordered(runs: pd.DataFrame, *factors: str) -> pd.DataFrame:
    """Smallest level first, so that the reference of an interaction is the small end."""
    sizes = {"budget": parse_budget, "tier": feature_count}
    return runs.sort_values(list(factors), key=lambda column: column.map(sizes.get(str(column.name), str)))
