"""The search's names of SPEC 11 as the study's author calls them: by experiment and budget (see study.author)."""

import os
from pathlib import Path
from typing import Any

import optuna

from finscale.config import format_budget, is_binary, load_params, parse_budget
from finscale.data.dataset import read_development
from finscale.errors import InputError
from finscale.search import results
from finscale.search import space as spaces
from finscale.search import study as studies
from finscale.search.config import SearchParams
from finscale.search.objective import Objective, Problem
from finscale.search.objective import create_objective as objective_of
from finscale.storage import md5_of, read_json
from finscale.training.device import choose_compute
from finscale.training.scratch import scratch_folder
from stages.paths import DEVELOPMENT
from stages.tune import SPACES

SEARCHES = Path("results/hpo")


def load_search_space(space: str | Path = "default") -> spaces.SearchSpace:
    """A search space by its name in search_spaces/, or by its file."""
    path = Path(space)
    return spaces.load_search_space(path if path.suffix else SPACES / f"{space}.yaml")


def create_study(experiment: str, budget: str | int, folder: Path | None = None) -> optuna.Study:
    """The study of one experiment and budget: created, or opened where it was begun. folder: where its journal lies."""
    return studies.create_study(_name(experiment, budget), folder or _folder(experiment, budget), _params().tune)


def create_objective(
    budget: str | int, space: str | Path = "default", development: Path = DEVELOPMENT, folder: Path | None = None
) -> Objective:
    """What a trial is worth: its best validation loss on the development rows that `dvc repro dataset` has made.

    All that the space does not vary is as in params.yaml. folder: for unfinished runs.
    """
    params = _params()
    train = params.train
    compute = choose_compute(train.device, train.precision, train.threads)
    problem = Problem(
        read_development(development), train, parse_budget(budget), is_binary(params.task), tuple(params.tune.seeds),
        compute,
    )  # fmt: skip
    return objective_of(load_search_space(space), problem, folder or _scratch() / "author")


def run_hpo(
    experiment: str,
    budget: str | int,
    n_trials: int = 50,
    timeout_hours: float = 4.0,
    space: str | Path = "default",
    output_dir: Path | None = None,
) -> dict[str, Any]:
    """Search until n_trials are complete; returns {budget}_best.json, written to results/hpo/<experiment>/ by default.

    Interrupted and called again, it goes on.
    """
    folder = _folder(experiment, budget)
    config = _params().tune.model_copy(update={"trials": n_trials, "time_limit_hours": timeout_hours})
    study = create_study(experiment, budget, folder)
    studies.run_hpo(study, create_objective(budget, space, folder=folder / "runs"), config, folder)
    told: dict[str, Any] = read_json(save_best_params(study, experiment, budget, output_dir))
    return told


def save_best_params(study: optuna.Study, experiment: str, budget: str | int, output_dir: Path | None = None) -> Path:
    """Write {budget}_best.json, by default to results/hpo/<experiment>/; returns its path."""
    about = {"experiment": experiment, "task": _params().task}
    about |= {"data": md5_of(DEVELOPMENT)} if DEVELOPMENT.exists() else {}
    return results.save_best_params(study, parse_budget(budget), about, output_dir or SEARCHES / experiment)


def _params() -> SearchParams:
    return load_params(SearchParams)


def _name(experiment: str, budget: str | int) -> str:
    if not experiment or "/" in experiment or experiment.startswith("."):
        raise InputError(f"experiment {experiment!r} is no name; use letters, digits and dashes, such as P1")
    return f"{experiment}-{format_budget(parse_budget(budget))}"


def _folder(experiment: str, budget: str | int) -> Path:
    return _scratch() / "search" / f"author-{_name(experiment, budget)}"


def _scratch() -> Path:
    return scratch_folder(dict(os.environ), Path.cwd())
