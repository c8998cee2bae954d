"""What a study found, as files: {budget}_best.json, trials.csv and figures. The same study gives the same bytes."""

from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from finscale.config import format_budget
from finscale.errors import InputError
from finscale.pages.search_figures import draw_figures
from finscale.search.objective import summary_of
from finscale.storage import write_csv, write_json


def save_best_params(study: optuna.Study, budget: int, about: dict[str, Any], folder: Path) -> Path:
    """Write <folder>/{budget}_best.json (SPEC 9) and return its path.

    about: what the study was made for (experiment, task, data). Raises InputError where no trial is complete.
    """
    path = folder / f"{format_budget(budget)}_best.json"
    write_json(path, {"budget": budget} | about | best_of(study))
    return path


def best_of(study: optuna.Study) -> dict[str, Any]:
    """The best hyper-parameters, architecture included, and how they were found."""
    trials = study.get_trials(deepcopy=False)
    ranked = sorted((t for t in trials if t.state == TrialState.COMPLETE), key=lambda t: (t.value, t.number))
    if not ranked:
        raise InputError("tune: no trial is complete; raise tune.time_limit_hours or widen the search space")
    best = ranked[0]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    return {
        "best_params": best.params | best.user_attrs["shape"],
        "best_value": best.value,
        "train_settings": best.user_attrs["settings"],
        "shape": best.user_attrs["shape"],
        "n_trials_completed": len(ranked),
        "n_trials_pruned": len(pruned),
        "n_trials_unbuildable": sum("unbuildable" in trial.user_attrs for trial in pruned),
        "n_trials_retried": sum(trial.state == TrialState.FAIL for trial in trials),
        "total_time_seconds": round(sum(_seconds(trial) for trial in trials), 3),
        "timestamp": max(str(t.datetime_complete) for t in trials if t.datetime_complete),
        "study_name": study.study_name,
        "optuna_version": optuna.__version__,
        "best_trial": summary_of(best),
        "median_trial": summary_of(ranked[(len(ranked) - 1) // 2]),
        "worst_trial": summary_of(ranked[-1]),
    }


def trials_table(study: optuna.Study) -> pd.DataFrame:
    """One row per finished trial: number, state, value, seconds, the architecture and every sampled parameter."""
    return pd.DataFrame([_row(trial) for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()])


def write_results(study: optuna.Study, budget: int, about: dict[str, Any], folder: Path) -> Path:
    """Replace the folder's files by this study's; returns the best parameters' path.

    Raises InputError where no trial is complete, and leaves the folder as it was.
    """
    best_of(study)
    for earlier in folder.glob("*"):
        earlier.unlink()
    path = save_best_params(study, budget, about, folder)
    write_csv(folder / "trials.csv", trials_table(study))
    draw_figures(study, folder)
    return path


def _row(trial: FrozenTrial) -> dict[str, Any]:
    attributes = trial.user_attrs
    why = attributes.get("unbuildable") or attributes.get("diverged") or ""
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value if trial.state == TrialState.COMPLETE else None,
        "seconds": round(_seconds(trial), 3),
        "epochs": len(trial.intermediate_values),
        **attributes.get("shape", {}),
        **{f"sampled.{name}": value for name, value in trial.params.items()},
        "note": why,
    }


def _seconds(trial: FrozenTrial) -> float:
    return trial.duration.total_seconds() if trial.duration else 0.0
