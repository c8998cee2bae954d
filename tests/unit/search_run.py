"""A process that takes part in a study of planted data: `python -m tests.unit.search_run FOLDER TRIALS [URL]`."""

import sys
from pathlib import Path

from finscale.search.config import TuneConfig
from finscale.search.objective import Objective, Problem, create_objective
from finscale.search.space import Range, SearchSpace
from finscale.search.study import create_study, run_hpo
from finscale.training.config import CheckpointConfig
from tests.unit.test_training import COMPUTE, CONFIG, ROWS

BUDGET = 5_000
BASE = CONFIG.model_copy(update={"checkpoint": CheckpointConfig(every_epochs=1), "epochs": 6})
SPACE = SearchSpace((Range("learning_rate", 1e-4, 1e-2, None, True), Range("weight_decay", 1e-4, 1e-1, None, True)))


def objective(folder: Path, space: SearchSpace = SPACE, seeds: tuple[int, ...] = (0,), epochs: int = 6) -> Objective:
    base = BASE.model_copy(update={"epochs": epochs, "patience": epochs})
    return create_objective(space, Problem(ROWS, base, BUDGET, True, seeds, COMPUTE), folder / "runs")


def config(trials: int, **changes: object) -> TuneConfig:
    return TuneConfig.model_validate({"trials": trials, "heartbeat_seconds": 1} | changes)


def main() -> None:
    folder, trials, url = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None
    settings = config(trials)
    study = create_study("planted", folder, settings, url)
    run_hpo(study, objective(folder, epochs=EPOCHS), settings, folder, heartbeats=url is not None)


EPOCHS = 25  # long enough to be killed in

if __name__ == "__main__":
    main()
