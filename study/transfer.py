"""transfer: does the best learning rate of a small model stay the best of a larger one? sp against mup

Reads  params.yaml, data/processed/development.parquet   train and validation rows; no test row
Writes results/hyperparameter_transfer.csv               one row per finished run, added as it ends
       docs/hyperparameter_transfer.{md,png}             the page and figure of all rows, drawn at the end
Why    a ladder of budgets is only fair where each is trained at its own best learning rate. Under mup
       (finscale.model.mup) the small models' is meant to serve all. Runs that the table holds are not run again.

    python -m study.transfer --budgets 30K 100K --rates 0.001 0.004 --seeds 0 1
    python -m study.transfer --folder ../planted     another workspace's params.yaml and data, into the same table
    python -m study.transfer --draw                  page and figure alone
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import Block, Source, Task, format_budget, is_binary, load_params, parse_budget
from finscale.data.dataset import read_development
from finscale.data.windows import Windows
from finscale.model.shape import solve
from finscale.pages.transfer import draw, page, read_runs
from finscale.storage import md5_of, read_csv, write_text
from finscale.training.config import PretrainConfig, TrainConfig
from finscale.training.device import choose_compute
from finscale.training.initial import initial_model
from finscale.training.loop import Trainer
from finscale.training.progress import DivergedError, Epoch
from finscale.training.resume import run_key
from finscale.training.target import Target

TABLE = Path("results/hyperparameter_transfer.csv")
PAGE = Path("docs/hyperparameter_transfer.md")
FIGURE = Path("docs/hyperparameter_transfer.png")
DEVELOPMENT = Path("data/processed/development.parquet")

BUDGETS = ("30K", "100K", "300K", "1M")
RATES = (0.0005, 0.001, 0.002, 0.004, 0.008)
EPOCHS = 2
PARAMETRIZATIONS = ("sp", "mup")


class Params(Block):
    source: Source
    task: Task
    train: TrainConfig


@dataclass(frozen=True)
class Run:
    """What tells two runs apart: the key of a row."""

    source: str
    task: str
    data: str  # MD5 of the development rows
    settings: str  # hash of all else in params.yaml's block `train` that decides a result
    parametrization: str
    budget: str
    learning_rate: float
    seed: int
    epochs: int
    precision: str


def settings(base: TrainConfig, planned: Run) -> TrainConfig:
    """params.yaml's training with what the study varies: no early stopping, and a cosine to zero."""
    model = base.model.model_copy(update={"parametrization": planned.parametrization})
    changed = {
        "model": model, "learning_rate": planned.learning_rate, "final_learning_rate": 0.0,
        "epochs": planned.epochs, "patience": planned.epochs,
        "pretrain": PretrainConfig(),
    }  # fmt: skip
    return base.model_copy(update=changed)


def train(planned: Run, params: Params, data: dict[str, Windows]) -> dict[str, Any]:
    """One run's shape and losses; a run that diverges has no losses. Raises InputError as training does."""
    config = settings(params.train, planned)
    compute = choose_compute(config.device, planned.precision, config.threads)
    target = Target.of(data["train"], is_binary(params.task))
    budget = parse_budget(planned.budget)
    shape = solve(budget, config.model, data["train"].channels)
    network = initial_model(shape, config, budget, data["train"], target, planned.seed).to(compute.device)
    trainer = Trainer(network, data["train"], data["validation"], target, config, compute, planned.seed)
    epochs: list[Epoch] = []
    started = time.perf_counter()
    try:
        trainer.fit(epochs.append)
        losses = {"train_loss": epochs[-1].train_loss, "validation_loss": epochs[-1].validation_loss}
    except DivergedError:
        losses = {"train_loss": float("nan"), "validation_loss": float("nan")}
    return {
        **asdict(planned), "params": network.counts().total, **asdict(shape), "steps": trainer.progress.step,
        "batch_size": config.batch_size, **losses, "seconds": round(time.perf_counter() - started, 1),
    }  # fmt: skip


def missing(planned: list[Run], table: Path) -> Iterator[Run]:
    """The runs that the table lacks, in order."""
    known = set()
    if table.exists():
        rows = read_csv(table, text=["budget"])
        known = {Run(**row) for row in rows[list(Run.__dataclass_fields__)].to_dict("records")}
    return (one for one in planned if one not in known)


def append(row: dict[str, Any], table: Path) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([row]).to_csv(table, mode="a", header=not table.exists(), index=False)


def settings_hash(base: TrainConfig) -> str:
    """Of the settings that neither the study varies nor a row names."""
    named = {"learning_rate", "final_learning_rate", "epochs", "patience", "precision"}
    without = dict.fromkeys((*named, "from_tune", "checkpoint", "thermal", "tracking"), True)
    return run_key(base.model_dump(exclude={"model": {"parametrization"}, **without}), {})


def plan(asked: argparse.Namespace, params: Params) -> list[Run]:
    """Smaller budgets first, so that an interrupted study holds whole curves."""
    data, others = md5_of(asked.folder / DEVELOPMENT), settings_hash(params.train)
    precision = choose_compute(params.train.device, params.train.precision, params.train.threads).precision
    varied = product(asked.budgets, asked.seeds, asked.rates, asked.parametrizations)
    return [
        Run(params.source, params.task, data, others, parametrization, format_budget(budget), rate, seed,
            asked.epochs, precision)
        for budget, seed, rate, parametrization in varied
    ]  # fmt: skip


def run_missing(asked: argparse.Namespace) -> None:
    """Train what the table lacks; each run is added to it as it ends."""
    params = load_params(Params, asked.folder / "params.yaml")
    rows = read_development(asked.folder / DEVELOPMENT)
    compute = choose_compute(params.train.device, params.train.precision, params.train.threads)
    length = params.train.model.context_length
    data = {split: Windows(rows, split, length, compute.device) for split in ("train", "validation")}
    for planned in missing(plan(asked, params), TABLE):
        row = train(planned, params, data)
        append(row, TABLE)
        print(
            "transfer: {source} {parametrization} {budget} at {learning_rate:g}, seed {seed}: train {train_loss:.4f}, "
            "validation {validation_loss:.4f}, {seconds} s".format(**row),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", nargs="+", type=parse_budget, default=[parse_budget(name) for name in BUDGETS])
    parser.add_argument("--rates", nargs="+", type=float, default=RATES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--parametrizations", nargs="+", choices=PARAMETRIZATIONS, default=PARAMETRIZATIONS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--folder", type=Path, default=Path(), help="the workspace with params.yaml and data/")
    parser.add_argument("--draw", action="store_true", help="page and figure of the runs that there are; run nothing")
    asked = parser.parse_args()
    if not asked.draw:
        run_missing(asked)
    runs = read_runs(TABLE)
    write_text(PAGE, page(runs))
    draw(runs, FIGURE)
    print(f"transfer: {len(runs)} runs -> {PAGE}, {FIGURE}")


if __name__ == "__main__":
    run(main)
