"""What a study says: SPEC 11's report of one experiment, and the summary of all."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from finscale.errors import InputError
from finscale.scaling.curves import other_versions, shown
from finscale.scaling.laws.choice import choice_words, compare_laws
from finscale.scaling.laws.multiple import holm
from finscale.scaling.laws.power_law import MIN_SIZES, PowerLaw, lack_of_fit
from finscale.scaling.results import aggregate_training_results, fit_of
from finscale.scaling.skill_grid import SkillCell, SkillGrid, horizon_words, skill_grids, threshold_words
from finscale.scaling.verdict import SMALLEST_EFFECT, exponent_of, not_judged

_GRID_NOTE = (
    "Skill: mean over seeds, with the mean bounds of the runs' intervals, which are of the test days that all seeds "
    "share; then the skill of baselines on the same days. A dash: no run, or one refused for too few positives "
    "(dataset.min_positives)."
)
_OTHERS = (
    "A curve holds one version of each. Shown above is the one with most sizes, of equals the newest; these are in the "
    "ledger as well, and on no curve."
)
_POINT = ("budget", "seed", "params", "val_loss", "test_loss", "accuracy")


def generate_scaling_report(results: pd.DataFrame, experiment: str, metric: str = "test_loss") -> dict[str, Any]:
    """SPEC 11's scaling report of one experiment, ready for write_json.

    results: from load_experiment_results. Keys: experiment, metric, differs (its settings that are not the plain ones),
    the version of code and data that all runs share, fit_results (alpha, coefficient, r_squared and
    more; null while there are too few sizes), laws, data_points (one per run), verdict, interpretation. Raises
    InputError for an experiment or metric that is not there.
    """
    runs = select_experiment(results, experiment)
    if metric not in runs:
        raise InputError(f"metric {metric!r} is no column of the results; losses are test_loss and val_loss")
    runs = runs.sort_values(["params", "seed"], kind="stable")
    points = [{name: _plain(row[name]) for name in _POINT} for row in runs.to_dict("records")]
    one = {name: str(runs[name].iloc[0]) for name in ("differs", "code", "data")}
    told = {"experiment": experiment, "metric": metric} | one
    law = fit_of(runs, metric)
    if law is None:
        words = f"undecidable: {runs['params'].nunique()} of at least {MIN_SIZES} sizes have been run"
        nothing: dict[str, Any] = {"fit_results": None, "laws": [], "verdict": "undecidable", "verdict_in_words": words}
        return told | nothing | {"data_points": points, "interpretation": words}
    sizes, losses = runs["params"].to_numpy(), runs[metric].to_numpy()
    verdict = not_judged(law)
    fit = asdict(law) | {
        "smallest_exponent_of_interest": exponent_of(SMALLEST_EFFECT),
        "lack_of_fit_p": lack_of_fit(sizes, losses),
    }
    laws, sentence = _laws(sizes, losses)
    return told | {
        "fit_results": fit,
        "laws": laws,
        "data_points": points,
        "verdict": verdict.kind,
        "verdict_in_words": verdict.words,
        "interpretation": f"{verdict.words}; {sentence}",
    }


def _laws(sizes: np.ndarray, losses: np.ndarray) -> tuple[list[dict[str, Any]], str]:
    """The candidate laws as a table, and which of them AICc and the extrapolation prefer."""
    candidates = compare_laws(sizes, losses)
    table = [
        {
            "law": one.name,
            "unknowns": one.unknowns,
            "aicc": one.aicc,
            "weight": one.weight,
            "extrapolation_error": one.extrapolation_error,
            "extrapolation_noise": one.extrapolation_noise,
            "status": one.status,
        }
        for one in candidates
    ]
    return table, choice_words(candidates)


def summarize_experiment(results: pd.DataFrame, experiment: str) -> dict[str, Any]:
    """The few numbers of one experiment. The best run is chosen by validation loss, never by the test."""
    runs = select_experiment(results, experiment)
    best = runs.loc[runs["val_loss"].idxmin()]
    return {
        "experiment": experiment,
        "runs": len(runs),
        "sizes": int(runs["params"].nunique()),
        "seeds": int(runs["seed"].nunique()),
        "smallest_params": int(runs["params"].min()),
        "largest_params": int(runs["params"].max()),
        "best_run_by_val_loss": str(best["name"]),
        "best_val_loss": float(best["val_loss"]),
        "its_test_loss": float(best["test_loss"]),
        "mean_test_loss": float(runs["test_loss"].mean()),
        "mean_test_skill": float(runs["test_skill"].mean()),
        "runs_with_skill": int((runs["test_skill_low"] > 0).sum()),
        "collapsed_runs": int(runs["collapsed"].astype(bool).sum()),
        "train_flops": float(runs["train_flops"].sum()),
        "train_seconds": float(runs["train_seconds"].sum()),
        "code_versions": int(runs["code"].nunique()),
    }


def generate_experiment_summary_report(
    results: pd.DataFrame, reports: list[dict[str, Any]] | None = None, faults: Sequence[str] = ()
) -> str:
    """All experiments in Markdown: one table of verdicts, then one of budgets for each experiment.

    results: from load_experiment_results or name_experiments, whose other versions of code and data are listed at the
    end. reports: from generate_scaling_report, one per experiment; made here where they are not given. faults: what
    the ledger set aside.
    p-values of alpha = 0 are adjusted for the number of curves (Holm 1979), so that one curve in twenty is not called
    a law by chance.
    """
    runs, results = results, shown(results)
    names = sorted(results["experiment"].unique()) if len(results) else []
    aside = ["Set aside, since they are no rows of the ledger:", "", *(f"- {fault}" for fault in faults), ""]
    if not names:
        nothing = ["# Experiments", "", "No experiment in the ledger yet: `make pilot` runs a ladder.", ""]
        return "\n".join(nothing + (aside if faults else []))
    made = reports or [generate_scaling_report(results, name) for name in names]
    told = {report["experiment"]: report for report in made}
    adjusted = holm({name: told[name]["fit_results"]["p_value"] for name in names if told[name]["fit_results"]})
    rows = [_summary_row(results, name, told[name], adjusted.get(name)) for name in names]
    parts = ["# Experiments", "", *(aside if faults else []), _table(rows), ""]
    parts += [
        "p: of alpha = 0, adjusted over the fitted curves by Holm's method. Intervals: 95 %, of each curve alone; "
        "they cover seeds and lack of fit, not the choice of the test period.",
        "",
    ]
    grids = list(skill_grids(runs))
    for grid in grids:
        parts += [f"## Skill by threshold and horizon: {grid.name}, {grid.budget}", "", _table(_grid_rows(grid)), ""]
    parts += [_GRID_NOTE, ""] if grids else []
    budgets = aggregate_training_results(results)
    for name in names:
        parts += [f"## {name}", "", told[name]["interpretation"], ""]
        if differs := results.loc[results["experiment"] == name, "differs"].iloc[0]:
            parts += [f"Settings of its own: {differs}.", ""]
        parts += [f"Code {told[name]['code']}, raw data {told[name]['data'][:12]}.", ""]
        parts += [_table(_budget_rows(budgets[budgets["experiment"] == name])), ""]
    if others := other_versions(runs):
        parts += ["## Other versions of code and data", "", _OTHERS, "", _table(others), ""]
    return "\n".join(parts)


def alpha_text(fit: dict[str, Any] | PowerLaw) -> str:
    """'0.0123 (0.0100 to 0.0150)'."""
    told = asdict(fit) if isinstance(fit, PowerLaw) else fit
    return f"{told['alpha']:.4f} ({told['alpha_low']:.4f} to {told['alpha_high']:.4f})"


def select_experiment(results: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The runs of one experiment. Raises InputError with the names that exist."""
    runs = results[results["experiment"] == experiment]
    if runs.empty:
        known = ", ".join(sorted(results["experiment"].unique())) or "none yet"
        raise InputError(f"experiment {experiment!r} is not in the results; there are: {known}")
    return runs


def _plain(value: Any) -> Any:
    """A value that JSON can hold: NumPy numbers as Python's, a missing one as null."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _summary_row(results: pd.DataFrame, name: str, report: dict[str, Any], adjusted: float | None) -> dict[str, object]:
    summary, fit = summarize_experiment(results, name), report["fit_results"]
    return {
        "experiment": name,
        "runs": summary["runs"],
        "sizes": summary["sizes"],
        "alpha (95 % interval)": alpha_text(fit) if fit else "-",
        "R²": f"{fit['r_squared']:.2f}" if fit else "-",
        "p": f"{adjusted:.3g}" if adjusted is not None else "-",
        "verdict": report["verdict"],
        "mean skill": f"{summary['mean_test_skill']:+.4f}",
        "collapsed": summary["collapsed_runs"],
    }


def _budget_rows(budgets: pd.DataFrame) -> list[dict[str, object]]:
    return [
        {
            "budget": row["budget"],
            "parameters": f"{row['params']:,}",
            "seeds": row["seeds"],
            "validation loss": _mean_and_spread(row["val_loss"], row["val_loss_std"]),
            "test loss": _mean_and_spread(row["test_loss"], row["test_loss_std"]),
            "skill": f"{row['test_skill']:+.4f}",
            "best epoch": f"{row['best_epoch']:.0f}",
            "training": f"{row['train_seconds']:,.0f} s",
        }
        for row in budgets.to_dict("records")
    ]


def _grid_rows(grid: SkillGrid) -> list[dict[str, object]]:
    """'+3.1% (-0.1% to +6.3%), 3 seeds; GARCH +2.8%, CatBoost +4.0%' in each cell."""

    def words(cell: SkillCell | None) -> str:
        if cell is None:
            return "-"
        return f"{cell.skill:+.1%} ({cell.low:+.1%} to {cell.high:+.1%}), {cell.seeds_words}; {cell.rivals_words}"

    rows: list[dict[str, object]] = []
    for task, row in grid.cells.iterrows():
        cells = {horizon_words(str(horizon)): words(cell) for horizon, cell in row.items()}
        rows.append({"return": threshold_words(str(task)), **cells})
    return rows


def _mean_and_spread(mean: float, deviation: float) -> str:
    return f"{mean:.5f}" if np.isnan(deviation) else f"{mean:.5f} ± {deviation:.5f}"


def _table(rows: list[dict[str, object]]) -> str:
    return tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
