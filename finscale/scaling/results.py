"""Tables of many experiments: from the ledger, and from the hyper-parameter searches.

An experiment here is one curve (finscale/scaling/curves.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.config import format_budget, parse_budget
from finscale.errors import InputError
from finscale.scaling.curves import name_runs, shown, versions
from finscale.scaling.laws.checks import count_sizes
from finscale.scaling.laws.power_law import MIN_SIZES, PowerLaw, fit_with_interval
from finscale.scaling.ledger import read_ledger
from finscale.scaling.settings import SETTINGS_FILE, Settings, read_settings
from finscale.storage import read_json

# all_results.csv: first the columns that SPEC 11 names, then what else a reader asks for.
EXPORT_COLUMNS = (
    "experiment", "budget", "params", "val_loss", "test_loss", "accuracy", "alpha_fit", "r_squared", "timestamp",
    "alpha_low", "alpha_high", "seed", "test_loss_low", "test_loss_high", "test_skill", "test_skill_low",
    "test_skill_high", "test_precision", "test_recall", "test_f1", "train_loss", "base_rate_loss", "collapsed",
    "train_flops", "train_windows", "name", "key", "commit", "code", "data", "settings", "differs", "again",
    "alpha_covers", "alpha_low_seeds", "alpha_high_seeds",
)  # fmt: skip

# What aggregate_training_results reads.
AGGREGATED = (
    "experiment", "params", "budget", "seed", "val_loss", "test_loss", "test_skill", "accuracy", "collapsed",
    "best_epoch", "epochs_run", "train_flops", "train_seconds",
)  # fmt: skip

# {budget}_best.json: SPEC 9
HPO_KEYS = (
    "experiment", "budget", "best_params", "best_value", "n_trials_completed", "n_trials_pruned", "total_time_seconds",
    "timestamp", "study_name", "optuna_version",
)  # fmt: skip


def load_experiment_results(ledger: Path) -> pd.DataFrame:
    """The ledger with its curves named, in the columns that SPEC 11 names beside its own.

    Adds experiment, market, variant and differs (curves.name_runs), params, val_loss and accuracy. Of each experiment
    the newest complete version of code and data counts, and in it the newest run of each budget and seed. Raises
    InputError where the ledger holds nothing.
    """
    rows = read_ledger(ledger)
    if rows.empty:
        raise InputError(
            f"{ledger}: no experiment in it; `make pilot` runs a ladder, `make collect` adds finished ones"
        )
    return shown(name_experiments(rows, read_settings(ledger.with_name(SETTINGS_FILE))))


def name_experiments(rows: pd.DataFrame, known: Mapping[str, Settings]) -> pd.DataFrame:
    """Rows already read, in all versions of their code and data; none are fine. curves.shown leaves one version each.

    known: settings by digest, and the plain ones.
    """
    newest = versions(name_runs(rows, known))
    accuracy = newest["test_accuracy"] if "test_accuracy" in newest else pd.Series(float("nan"), newest.index)
    return newest.assign(
        params=newest.get("params_total", pd.Series(dtype=int)),
        val_loss=newest.get("validation_loss", pd.Series(dtype=float)),
        accuracy=accuracy,
    )


def fit_of(runs: pd.DataFrame, metric: str = "test_loss") -> PowerLaw | None:
    """The power law of one experiment, or None while it has too few sizes to fit one."""
    if count_sizes(runs["params"].to_numpy(float)) < MIN_SIZES:
        return None
    return fit_with_interval(runs["params"].to_numpy(), runs[metric].to_numpy())


def aggregate_training_results(results: pd.DataFrame) -> pd.DataFrame:
    """One row per experiment and budget: counts, means and the standard deviation over seeds (NaN for one seed)."""
    groups = results.groupby(["experiment", "params", "budget"], sort=True)
    table = groups.agg(
        seeds=("seed", "nunique"),
        val_loss=("val_loss", "mean"),
        val_loss_std=("val_loss", "std"),
        test_loss=("test_loss", "mean"),
        test_loss_std=("test_loss", "std"),
        test_skill=("test_skill", "mean"),
        accuracy=("accuracy", "mean"),
        collapsed=("collapsed", "sum"),
        best_epoch=("best_epoch", "median"),
        epochs_run=("epochs_run", "median"),
        train_flops=("train_flops", "mean"),
        train_seconds=("train_seconds", "sum"),
    )
    return table.reset_index()


def aggregate_hpo_results(folder: Path) -> pd.DataFrame:
    """One row per {budget}_best.json below `folder`, sampled settings as best_params.<name> columns.

    Raises InputError where there is no such file, or one lacks a key of SPEC 9.
    """
    paths = sorted(folder.rglob("*_best.json"))
    if not paths:
        raise InputError(f"{folder}: no {{budget}}_best.json in it; a finished search writes one per budget")
    return pd.DataFrame([_hpo_row(path) for path in paths])


def _hpo_row(path: Path) -> dict[str, Any]:
    told = read_json(path)
    if missing := [key for key in HPO_KEYS if key not in told]:
        raise InputError(f"{path}: lacks {', '.join(missing)}; run the search again with today's code")
    budget = format_budget(parse_budget(told["budget"]))  # a search writes the count, people write 2M
    if path.name != f"{budget}_best.json":
        raise InputError(f"{path}: holds budget {budget!r}; its name should be {budget}_best.json")
    settings = {f"best_params.{name}": value for name, value in told["best_params"].items()}
    return {key: told[key] for key in HPO_KEYS if key != "best_params"} | {"budget": budget} | settings


def export_results_csv(results: pd.DataFrame, fits: Mapping[str, PowerLaw] | None = None) -> pd.DataFrame:
    """The table of all_results.csv: one row per run, each with the fit of its curve. write_csv stores it.

    fits: by experiment, with intervals over seeds and days (fits_of); those of seeds alone are made here, and are all
    there is where fits has none.
    """
    alone = {str(name): fit_of(runs) for name, runs in results.groupby("experiment")}
    both = alone | {name: law for name, law in (fits or {}).items() if name in alone}
    fitted = results.assign(
        **_columns([both[name] for name in results["experiment"]], "", "alpha", "r_squared", "covers"),
        **_columns([alone[name] for name in results["experiment"]], "_seeds"),
    ).rename(columns={"alpha": "alpha_fit", "covers": "alpha_covers"})
    ordered = fitted.sort_values(["experiment", "params", "seed"], kind="stable") if len(fitted) else fitted
    return ordered.reindex(columns=list(EXPORT_COLUMNS))


def _columns(laws: list[PowerLaw | None], suffix: str, *more: str) -> dict[str, list[Any]]:
    """Columns of the intervals and more, None for a curve without a fit."""
    names = {f"{name}{suffix}": name for name in ("alpha_low", "alpha_high")} | {name: name for name in more}
    return {column: [None if law is None else getattr(law, name) for law in laws] for column, name in names.items()}
