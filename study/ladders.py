"""Ladders on simulated panels: the controls of the verdict, run as experiments of the study are.

Phases of study/controls.yaml go through DVC, into the ledger and to finscale.scaling like those of phases.yaml. What
is finished is never run again, what failed is.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.errors import InputError
from finscale.scaling.curves import shown
from finscale.scaling.daily import FOLDER
from finscale.scaling.data_laws import data_laws
from finscale.scaling.fits import CurveFit, fits_of
from finscale.scaling.ledger import read_ledger
from finscale.scaling.phases import hypothesis, load_phase
from finscale.scaling.report import generate_scaling_report
from finscale.scaling.results import name_experiments
from finscale.scaling.settings import read_settings
from study.collect import LEDGER, SETTINGS, collect
from study.phase import all_settings, as_runs, missing
from study.workers import LOGS, Run, reasons, work_off

LADDERS = Path("study/controls.yaml")


def run_ladder(phase: str, jobs: int, budgets: Sequence[str] | None = None) -> None:
    """Run what the ledger lacks of a phase, `jobs` at a time. budgets: of its rows those of these sizes alone.

    The first run goes alone: it leaves the panel's features, rows and baselines in the run cache for all others. Raises
    InputError where runs failed, with their reasons.
    """
    settings = all_settings(LADDERS, phase)
    rows = [row for row in load_phase(LADDERS, phase) if budgets is None or row.axes["budget"] in budgets]
    rows.sort(key=lambda row: row.axes["seed"])  # a ladder that is stopped has all its sizes once
    collect(quiet=True)
    runs = as_runs(missing(rows, settings), settings)
    print(f"controls: {phase}: {len(runs)} of {len(rows)} runs to do; logs in {LOGS}", flush=True)
    failed = [one for part in (runs[:1], runs[1:]) for one in _work(part, jobs)]
    if failed:
        raise InputError(f"{len(failed)} runs of {phase} failed; the same command tries them again\n{reasons(failed)}")


def _work(runs: list[Run], jobs: int) -> list[Run]:
    if not runs:
        return []
    with ThreadPoolExecutor(jobs) as threads:
        return work_off(runs, threads, lambda _: collect(quiet=True))


def ladder(phase: str) -> pd.DataFrame:
    """The ledger's rows of a phase with their curves named: of the newest complete version of code and data."""
    rows = read_ledger(LEDGER)
    if "name" not in rows:  # an empty one
        return name_experiments(rows, {})
    names = tuple(f"{row.run_name}-" for row in load_phase(LADDERS, phase))
    own = rows[(rows["source"] == "simulated") & rows["name"].str.startswith(names)]
    return shown(name_experiments(own, read_settings(SETTINGS)))


@dataclass(frozen=True)
class Judged:
    """A ladder with what the ordinary report says of it. report: of generate_scaling_report; None before it has run."""

    phase: str
    expects: str
    runs: pd.DataFrame
    fit: CurveFit | None = None
    report: dict[str, Any] | None = None

    def verdict(self) -> str:
        return "not run yet" if self.report is None else str(self.report["verdict_in_words"])


def judged(phases: Sequence[str]) -> list[Judged]:
    """These ladders with their verdicts, whose p-values are adjusted for each other."""
    found = {phase: ladder(phase) for phase in phases}
    fits = fits_of(pd.concat([runs.assign(experiment=phase) for phase, runs in found.items()]), FOLDER)
    told = []
    for phase, runs in found.items():
        own, words = runs.assign(experiment=phase), hypothesis(LADDERS, phase)
        report = generate_scaling_report(own, phase, fit=fits.get(phase)) if len(own) else None
        told.append(Judged(phase, words, own, fits.get(phase), report))
    return told


def along_windows(budget: str) -> Judged:
    """The teacher's loss against training windows at one size: the ladders `data` and `teacher` as a curve of data."""
    runs = pd.concat([ladder("data"), ladder("teacher")])
    if len(runs):
        runs = runs[runs["budget"] == budget].assign(experiment="data")
        runs = runs.assign(params=runs["train_windows"], params_total=runs["train_windows"])
    return Judged("data", hypothesis(LADDERS, "data"), runs, fits_of(runs, FOLDER).get("data"))


def law_of_data() -> list[dict[str, Any]]:
    """L(N, D) over the ladders `teacher` and `data`, as of the stage `scaling`; [] before there are three of each."""
    keys = {key for phase in ("teacher", "data") for key in ladder(phase)["key"]}
    rows = read_ledger(LEDGER)
    return data_laws(rows[rows["key"].isin(keys)], read_settings(SETTINGS))
