"""What a study says: SPEC 11's report of one experiment, and its few numbers."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from finscale.errors import InputError
from finscale.scaling.laws.choice import best_extrapolation, compare_laws
from finscale.scaling.laws.power_law import MIN_SIZES, lack_of_fit
from finscale.scaling.results import fit_of
from finscale.scaling.verdict import SMALLEST_EFFECT, exponent_of, judge, smallest_detectable_exponent

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
    misfit = lack_of_fit(sizes, losses)
    verdict = judge(law, lack_of_fit=misfit)
    detectable = smallest_detectable_exponent(sizes, losses)
    fit = asdict(law) | {
        "smallest_exponent_of_interest": exponent_of(SMALLEST_EFFECT),
        "smallest_detectable_exponent": detectable,
        "lack_of_fit_p": misfit,
    }
    laws, sentence = _laws(sizes, losses)
    power = f"this design would have seen an exponent of {detectable:.4f} or more in 80 % of repetitions"
    return told | {
        "fit_results": fit,
        "laws": laws,
        "data_points": points,
        "verdict": verdict.kind,
        "verdict_in_words": verdict.words,
        "interpretation": f"{verdict.words}; {power}; {sentence}",
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
        }
        for one in candidates
    ]
    parts = [f"AICc prefers: {candidates[0].name}"] if candidates[0].aicc is not None else []
    if closest := best_extrapolation(candidates):
        parts.append(f"the largest size is predicted best by: {closest.name}")
    return table, "; ".join(parts) or "too few runs to choose a law"


def summarize_experiment(results: pd.DataFrame, experiment: str) -> dict[str, Any]:
    """The few numbers of one experiment. The best run and budget are chosen by validation loss, never by the test.

    scaling_factor: mean test loss of the smallest size over that of the largest; above 1 where the larger loses less.
    """
    runs = select_experiment(results, experiment)
    best = runs.loc[runs["val_loss"].idxmin()]
    sizes = runs.groupby("params")[["val_loss", "test_loss"]].mean().sort_index()
    budgets = runs.groupby("params")["budget"].first()
    return {
        "experiment": experiment,
        "best_budget": str(budgets[sizes["val_loss"].idxmin()]),
        "scaling_factor": float(sizes["test_loss"].iloc[0] / sizes["test_loss"].iloc[-1]),
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


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Holm's (1979) step-down adjustment, which controls the family-wise error under any dependence."""
    adjusted, highest = {}, 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p * (len(p_values) - rank)))
        adjusted[name] = highest
    return adjusted


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
