"""What a study says: SPEC 11's report of one experiment, and its few numbers."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from finscale.errors import InputError
from finscale.scaling.fits import CurveFit
from finscale.scaling.laws.checks import count_sizes
from finscale.scaling.laws.choice import Candidate, choice_words, compare_laws, winner
from finscale.scaling.laws.exponent import YearlyExponents
from finscale.scaling.laws.power_law import MIN_SIZES, lack_of_fit
from finscale.scaling.results import fit_of
from finscale.scaling.verdict import SMALLEST_EFFECT, carries, exponent_of, judge, not_judged

_UNEVEN = 0.05  # Bartlett p-values below this are mentioned
_POINT = ("budget", "seed", "params", "val_loss", "test_loss", "accuracy")


def generate_scaling_report(
    results: pd.DataFrame, experiment: str, metric: str = "test_loss", fit: CurveFit | None = None
) -> dict[str, Any]:
    """SPEC 11's scaling report of one experiment, ready for write_json.

    results: from load_experiment_results. fit: of fits_of, which joins the losses per day and adjusts for the other
    curves; None: of seeds alone, and not judged. Keys: experiment, metric, differs (its settings that are not the plain
    ones), the version of code and data that all runs share, fit_results (alpha, coefficient, r_squared and more; null
    while there are too few sizes), band (the law and its bounds along the sizes), forecast (of the largest size beside
    its noise), law (that AICc prefers, where the verdict carries it), laws, data_points (one per run), verdict,
    interpretation. Raises InputError for an experiment or metric that is not there.
    """
    runs = select_experiment(results, experiment)
    if metric not in runs:
        raise InputError(f"metric {metric!r} is no column of the results; losses are test_loss and val_loss")
    runs = runs.sort_values(["params", "seed"], kind="stable")
    points = [{name: _plain(row[name]) for name in _POINT} for row in runs.to_dict("records")]
    one = {name: str(runs[name].iloc[0]) for name in ("differs", "code", "data")}
    told = {"experiment": experiment, "metric": metric} | one
    sizes, losses = runs["params"].to_numpy(float), runs[metric].to_numpy()
    law = fit_of(runs, metric)
    if law is None:
        words = f"undecidable: {count_sizes(sizes)} of at least {MIN_SIZES} sizes have been run"
        nothing = dict.fromkeys(("fit_results", "band", "forecast", "law")) | {"laws": [], "verdict": "undecidable"}
        return told | nothing | {"verdict_in_words": words, "data_points": points, "interpretation": words}
    fit = fit or CurveFit(law, sizes)
    misfit = lack_of_fit(sizes, losses)
    found = fit.exponent
    verdict = not_judged(law, fit.refused) if found is None else judge(found.alpha, fit.adjusted_p, lack_of_fit=misfit)
    candidates = compare_laws(sizes, losses)
    preferred = winner(candidates)
    carried = preferred is not None and carries(verdict.kind, preferred.name)
    more = [*_power(fit), *_checks(fit), *_years(fit), *_forecast_words(fit), choice_words(candidates, carried)]
    return told | {
        "fit_results": _fit_results(fit) | {"lack_of_fit_p": misfit},
        "band": _band(fit),
        "forecast": _forecast(fit),
        "law": preferred.name if preferred and carried else None,
        "laws": _laws(candidates),
        "data_points": points,
        "verdict": verdict.kind,
        "verdict_in_words": verdict.words,
        "interpretation": "; ".join([verdict.words, *more]),
    }


def _fit_results(fit: CurveFit) -> dict[str, Any]:
    """alpha with both intervals: alpha_low, alpha_high over seeds and days where `covers` says so, *_seeds over
    seeds."""
    law, found = fit.law, fit.exponent
    told = asdict(fit.shown()) | {
        "alpha_low_seeds": law.alpha_low,
        "alpha_high_seeds": law.alpha_high,
        "p_value_seeds": law.p_value,
        "p_value_adjusted": fit.adjusted_p,
        "smallest_exponent_of_interest": exponent_of(SMALLEST_EFFECT),
        "smallest_detectable_exponent": None,
    }
    if found is None:
        return told
    alpha = found.alpha
    return told | {
        "smallest_detectable_exponent": alpha.detectable(),
        "standard_error": alpha.standard_error,
        "standard_error_parts": {"seeds": alpha.seeds, "misfit": alpha.misfit, "days": alpha.days},
        "degrees_of_freedom": alpha.degrees,
        "block_length": alpha.block_length,
        "alpha_by_seed": found.by_seed,
        "equal_noise_p": found.equal_noise_p,
        "years": None if fit.years is None else _years_table(fit.years),
    }


def _band(fit: CurveFit) -> dict[str, Any]:
    """The law with its bounds along the sizes, and what they are over."""
    band = fit.band()
    columns = {"params": band.x, "loss": fit.law(band.x), "low": band.low, "high": band.high}
    return {name: values.tolist() for name, values in columns.items()} | {"covers": band.covers}


def _forecast(fit: CurveFit) -> dict[str, Any] | None:
    """Foretold over measured loss of the largest size, less one, by the line through the others; None without days."""
    if (found := fit.forecast) is None:
        return None
    error, low, high = (float(np.expm1(one)) for one in (found.value, found.low, found.high))
    return {"error": error, "low": low, "high": high, "p_value": found.p_value, "covers": "seeds and days"}


def _forecast_words(fit: CurveFit) -> list[str]:
    if (told := _forecast(fit)) is None:
        return []
    held = told["low"] <= 0 <= told["high"]
    return [
        f"the line through the smaller sizes foretells the largest {told['error']:+.2%} off "
        f"({told['low']:+.2%} to {told['high']:+.2%} over seeds and days: "
        + ("no more than noise)" if held else "more than noise)")
    ]


def _years_table(years: YearlyExponents) -> dict[str, Any]:
    rows = [{name: _plain(value) for name, value in row.items()} for row in years.table.to_dict("records")]
    told = {name: getattr(years, name) for name in ("mean", "low", "high", "p_value", "spread")}
    return told | {"by_year": rows}


def _power(fit: CurveFit) -> list[str]:
    if fit.exponent is None:
        return []
    detectable = fit.exponent.alpha.detectable()
    return [f"this design would have seen an exponent of {detectable:.4f} or more in 80 % of repetitions"]


def _checks(fit: CurveFit) -> list[str]:
    """Slope per seed, and noise that differs by size: the interval allows for both, a reader wants to know."""
    if (found := fit.exponent) is None:
        return []
    slopes = ", ".join(f"{slope:.4f}" for slope in found.by_seed.values())
    uneven = found.equal_noise_p is not None and found.equal_noise_p < _UNEVEN
    return [
        *([f"exponent of each seed alone: {slopes}"] if len(found.by_seed) > 1 else []),
        *([f"noise differs by size (Bartlett p = {found.equal_noise_p:.2g})"] if uneven else []),
    ]


def _years(fit: CurveFit) -> list[str]:
    if (years := fit.years) is None:
        return [f"no mean over test years: {fit.years_refused}"] if fit.years_refused else []
    return [
        f"over {len(years.table)} test years taken as a sample of many the mean exponent is {years.mean:.4f} "
        f"({years.low:.4f} to {years.high:.4f}), and years differ by {years.spread:.4f} beyond their own errors"
    ]


def _laws(candidates: list[Candidate]) -> list[dict[str, Any]]:
    """The candidate laws as a table."""
    return [
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
        "sizes": count_sizes(runs["params"].to_numpy(float)),
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
