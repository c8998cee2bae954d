"""recipe: rounds of the protocol -> results/recipe.csv, docs/recipe.md

Reads  study/recipe/protocol.yaml, recipes/author.yaml, params.yaml, results/recipe.csv
       development rows that the stages make for it, in workspaces that end with the last day that may be seen
Writes results/recipe.csv   one row per run, added as it ends; a row that is there is not measured again
       docs/recipe.{md,png}  what came out, and the decision by the rule in LOG.md
       results/recipe/      losses per day of the runs on real days
Why    the default is chosen by what was written down before, on days that are no test's, by a command.

    python -m study.recipe --stage A --dry      what is left to run, and what it costs here
    python -m study.recipe --round 1 2          these rounds; a second process beside it takes the runs that are free
    dvc exp run $(python -m study.recipe --settings author) -S budget=300K    an experiment with another recipe
"""

import argparse
import fcntl
import time

from finscale.cli import run
from finscale.config import parse_budget
from finscale.errors import InputError
from finscale.imports import read_sources
from finscale.model.shape import flops_per_window, solve
from finscale.recipes import recipe_settings
from finscale.training.config import TrainConfig
from study.experiments import code_hash
from study.recipe.measure import measure
from study.recipe.page import PAGE, write
from study.recipe.protocol import BASELINES, Planned, Protocol, load_protocol, planned
from study.recipe.table import add, is_done, read_rows
from study.recipe.workspaces import scratch
from study.workers import as_override

_CHANNELS = 20  # of tier a20, on which all rounds run
_FLOPS_PER_SECOND = 18e9  # of small models on one core, where no row tells better
_BASELINES_SECONDS = 30


def work_off(plan: list[Planned], protocol: Protocol) -> list[str]:
    """Run what the table lacks and no other process has claimed; returns what failed, and why."""
    code, failed = code_hash(read_sources()), []
    scratch().mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(plan, start=1):
        with (scratch() / f"{one.run.name}.claim").open("a", encoding="utf-8") as claim:
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if is_done(one, read_rows()):
                continue
            started = time.perf_counter()
            try:
                found = measure(one)
            except InputError as error:
                failed.append(f"{one.run.name}: {error}")
                continue
            add(one, found, code, protocol)
        values = ", ".join(f"{part.candidate} {part.row['value']:.3f}" for part in found)
        seconds = time.perf_counter() - started
        print(f"recipe: {number} of {len(plan)}, {one.run.name}: {one.measure} {values}; {seconds:.0f} s", flush=True)
    return failed


def cost(one: Planned) -> float:
    """Seconds on one core, by counted FLOPs; all epochs are taken to be run."""
    if one.run.candidate == BASELINES:
        return _BASELINES_SECONDS
    config = TrainConfig.model_validate(one.params["train"])
    shape = solve(parse_budget(one.run.budget), config.model, _CHANNELS)
    return 3 * flops_per_window(shape, config.model, _CHANNELS) * one.windows * config.epochs / _FLOPS_PER_SECOND


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m study.recipe", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--stage", choices=["A", "B"], help="A: planted markets and noise; B: development days")
    parser.add_argument("--round", nargs="+", help="rounds of the protocol; none: all of the stage")
    parser.add_argument("--settings", metavar="RECIPE", help="recipes/RECIPE.yaml as `-S key=value`, and nothing else")
    parser.add_argument("--dry", action="store_true", help="what is left to run, and what it costs")
    asked = parser.parse_args()
    if asked.settings:
        print(" ".join(f"-S {key}={as_override(value)}" for key, value in recipe_settings(asked.settings).items()))
        return
    protocol = load_protocol()
    rounds = asked.round or [name for name, one in protocol.rounds.items() if asked.stage in (None, one.stage)]
    if unknown := [name for name in rounds if name not in protocol.rounds]:
        parser.error(f"no round {unknown[0]}; there are {', '.join(protocol.rounds)}")
    rows = read_rows()
    left = [one for one in planned(protocol, rounds) if not is_done(one, rows)]
    minutes = sum(map(cost, left)) / 60
    print(f"recipe: {len(left)} runs of rounds {', '.join(rounds)}, about {minutes:.0f} processor minutes", flush=True)
    if asked.dry:
        return
    failed = work_off(left, protocol)
    print(f"recipe: {write(read_rows(), protocol)}; {PAGE} has all runs")
    if failed:
        raise InputError("\n".join(failed))


if __name__ == "__main__":
    run(main)
