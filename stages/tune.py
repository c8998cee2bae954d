"""tune: development rows -> models/tune/: the best hyper-parameters of this experiment's budget

Reads  data/processed/development.parquet  train and validation rows; the test split is out of reach
       models/search.json                  what is searched for, from `configure`; nothing where `tune.trials` is 0
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
from finscale.config import check_params, format_budget
from finscale.imports import import_closure, read_sources
from finscale.search.config import SearchParams
from finscale.search.space import load_search_space
from finscale.storage import md5_of, read_json, write_text
from stages.paths import DEVELOPMENT, SEARCH, TUNED

SPACES = Path("search_spaces")

# They decide how a study is run, not what its trials are worth: a study goes on when they change.
_NOT_IN_KEY = {
    "tune": {"trials", "workers", "time_limit_hours", "storage", "heartbeat_seconds"},
    "train": {"from_tune", "checkpoint", "thermal", "tracking"},
}


def main() -> None:
    asked = read_json(SEARCH)
    load_search_space(SPACES / f"{asked['space']}.yaml")  # a wrong file is an error before it is needed
    if asked["settings"] is None:
        write_nothing()
        print("tune: off (tune.trials = 0)")
    else:
        search(check_params(SearchParams, asked["settings"], SEARCH))


def write_nothing() -> None:
    for path in TUNED.glob("*"):
        path.unlink()
    write_text(TUNED / "trials.csv", "trial,state,value\n")


def search(params: SearchParams) -> None:
    """Run the study to its end and write what it found."""
    from finscale.search import session  # Optuna and torch take seconds to import, and most runs search nothing
    from finscale.search.results import write_results
    from finscale.training.interrupt import RunStoppedError
    from finscale.training.scratch import scratch_folder

    space = load_search_space(SPACES / f"{params.tune.space}.yaml")
    data = md5_of(DEVELOPMENT)
    code = import_closure("stages.tune", read_sources())
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


def axes(params: SearchParams) -> dict[str, Any]:
    """The experiment that was searched for."""
    return params.model_dump(exclude={"train", "tune", "budget"})


if __name__ == "__main__":
    run(main)
