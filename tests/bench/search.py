"""bench: trials per hour with one and two processes, and what a trial costs beyond its training

Why    SPEC 9's search is worth its machine only where the study itself is cheap: at most 0.3 s a trial, and two
       processes give at least 1.7 times the trials of one on two cores. Rounds are interleaved; medians.

    python -m tests.bench.search --budget 100K --epochs 6 --trials 6 --rounds 3
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

import optuna
import yaml
from optuna.trial import TrialState
from tabulate import tabulate

from finscale.cli import run
from finscale.config import parse_budget
from finscale.search.config import TuneConfig
from finscale.search.session import Search, search
from finscale.search.space import Range, SearchSpace
from finscale.training.config import TrainConfig

DEVELOPMENT = Path("data/processed/development.parquet")
# Trials of one length, so that the two counts compare the processes and not what they drew.
SPACE = SearchSpace((Range("learning_rate", 1e-5, 1e-3, None, True), Range("weight_decay", 1e-6, 1e-2, None, True)))


def measure(workers: int, given: argparse.Namespace) -> tuple[float, float]:
    """Trials per hour once the processes are up, and seconds of a process per trial beyond training."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    settings = params["train"] | {"epochs": given.epochs, "patience": given.epochs, "threads": 1}
    tune = TuneConfig(trials=given.trials, workers=workers, pruning={"after_epochs": 1000})
    with tempfile.TemporaryDirectory() as folder:
        job = Search(
            tune, TrainConfig.model_validate(settings), SPACE, params["task"], given.budget, given.data,
            Path(folder), "bench",
        )  # fmt: skip
        return rates(search(job), workers)


def rates(study: optuna.Study, workers: int) -> tuple[float, float]:
    trials = study.get_trials(states=(TrialState.COMPLETE,))
    # From the last process's first trial on all are at work; to the first process's last one.
    by_worker: dict[str, list] = {}
    for trial in trials:
        by_worker.setdefault(trial.user_attrs["worker"], []).append(trial)
    rate, beyond = 0.0, []
    for mine in by_worker.values():
        span = (mine[-1].datetime_complete - mine[0].datetime_start).total_seconds()
        rate += len(mine) / span
        beyond.append((span - sum(trial.user_attrs["training_seconds"] for trial in mine)) / len(mine))
    assert len(by_worker) == workers, "a process came too late to take part; ask for more trials"
    return 3600 * rate, max(beyond)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search", description=__doc__)
    parser.add_argument("--budget", type=parse_budget, default=parse_budget("100K"))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DEVELOPMENT)
    given = parser.parse_args()
    measured: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for _ in range(given.rounds):
        for workers, results in measured.items():
            results.append(measure(workers, given))
    per_hour = {workers: median(rate for rate, _ in results) for workers, results in measured.items()}
    rows = [
        [workers, per_hour[workers], per_hour[workers] / per_hour[1], median(beyond for _, beyond in results)]
        for workers, results in measured.items()
    ]
    headers = ["processes", "trials per hour", "against one", "seconds beyond training"]
    print(tabulate(rows, headers, floatfmt=("d", ".0f", ".2f", ".3f")))


if __name__ == "__main__":
    run(main)
