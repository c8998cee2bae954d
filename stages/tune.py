"""tune: development rows -> models/tune/: the best hyper-parameters of this experiment's budget

Reads  data/processed/development.parquet  train and validation rows; the test split is out of reach
       search_spaces/                      what is varied; `tune.space` names the file
Writes models/tune/  {budget}_best.json, trials.csv, history.png, importance.png, parallel_coordinates.png;
                     an empty trials.csv where `tune.trials` is 0, the default: then nothing is searched
Why    off unless asked for (`dvc exp run -S tune.trials=20 -S train.from_tune=true`). The study lies outside the
       workspace, under a key of settings, data and code: stopped or killed, it goes on where it was.
"""

import os
import sys
from pathlib import Path
from typing import Any

from finscale.cli import run
from finscale.config import Budget, StudyAxes, format_budget, load_params
from finscale.imports import import_closure
from finscale.search.config import TuneConfig
from finscale.search.space import load_search_space
from finscale.storage import md5_of, write_text
from finscale.training.config import TrainConfig
from stages.paths import DEVELOPMENT, TUNED

SPACES = Path("search_spaces")

# They decide how a study is run, not what its trials are worth: a study goes on when they change.
_NOT_IN_KEY = {
    "tune": {"trials", "workers", "time_limit_hours", "storage", "heartbeat_seconds"},
    "train": {"from_tune", "checkpoint", "thermal", "tracking"},
}


class Params(StudyAxes):
    budget: Budget
    train: TrainConfig
    tune: TuneConfig


def main() -> None:
    params = load_params(Params)
    load_search_space(SPACES / f"{params.tune.space}.yaml")  # a wrong file is an error before it is needed
    if params.tune.trials == 0:
        write_nothing()
        print("tune: off (tune.trials = 0)")
    else:
        search(params)


def write_nothing() -> None:
    for path in TUNED.glob("*"):
        path.unlink()
    write_text(TUNED / "trials.csv", "trial,state,value\n")


def search(params: Params) -> None:
    """Run the study to its end and write what it found."""
    from finscale.search import session  # Optuna and torch take seconds to import, and most runs search nothing
    from finscale.search.results import write_results
    from finscale.training.interrupt import RunStoppedError
    from finscale.training.scratch import scratch_folder

    space = load_search_space(SPACES / f"{params.tune.space}.yaml")
    data = md5_of(DEVELOPMENT)
    code = import_closure("stages.tune", lambda path: Path(path).read_text() if Path(path).is_file() else None)
    settings = params.model_dump(mode="json", exclude=_NOT_IN_KEY)
    key = session.study_key(settings, space, code | {DEVELOPMENT.as_posix(): data})
    scratch = scratch_folder(dict(os.environ), Path.cwd())
    job = session.Search(
        params.tune, params.train, space, params.task, params.budget, DEVELOPMENT,
        scratch / "search" / key, f"{params.task}-{format_budget(params.budget)}-{key[:6]}", scratch / "tracking",
    )  # fmt: skip
    print(f"tune: study {job.name} in {job.folder}", flush=True)
    try:
        study = session.search(job)
    except RunStoppedError as stopped:
        sys.exit(str(stopped))
    about = {"experiment": axes(params), "task": params.task, "data": data}
    path = write_results(study, params.budget, about, TUNED)
    print(f"tune: {len(study.trials)} trials; best validation loss {study.best_value:.6g}, in {path}")


def axes(params: Params) -> dict[str, Any]:
    """The experiment that was searched for."""
    return params.model_dump(exclude={"train", "tune", "budget"})


if __name__ == "__main__":
    run(main)
