"""scaling: the ledger -> laws, verdicts, curves

Reads  results/ledger.csv          one row per finished experiment (`make collect` adds them)
       results/settings.json       what each of them had set: runs of different settings share no curve
       results/refused.csv         runs that the data refused, and why
       phases.yaml                 what was expected of each phase
       results/daily/              the losses of each of them on each test day: intervals are over seeds and days
       results/epochs/             and after each epoch, for the compute frontier of today's curve
Writes metrics/scaling.json        the fit of today's axes and settings with its interval, and a verdict in words
       plots/scaling_curve.csv     its points, for `dvc plots`
       plots/scaling_curve.png     the figure in README; .svg the same for print
       plots/scaling/              the other figures that the ledger can carry
       reports/scaling.json        SPEC 11's report of every experiment, today's axes first, with its frontier L(C)
       reports/data_laws.json      L(N, D), repetitions and the compute optimum, over curves that differ in windows
       reports/experiments.md      all experiments in words and tables
       results/all_results.csv     one row per run with the fit of its curve, and the line that makes it again
Why    the question of the study, answered from everything that has been run so far.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from finscale.assets import data_set
from finscale.cli import run
from finscale.config import StudyAxes, load_params
from finscale.data.config import EvaluationConfig
from finscale.pages.experiments import generate_experiment_summary_report
from finscale.pages.gallery import draw_gallery
from finscale.pages.scaling_figures import plot_scaling_curve
from finscale.pages.style import task_words
from finscale.scaling.again import again
from finscale.scaling.curves import Curve, curve_of, shown
from finscale.scaling.daily import FOLDER as DAILY
from finscale.scaling.data_laws import data_laws
from finscale.scaling.epochs import FOLDER as EPOCHS
from finscale.scaling.epochs import frontier_told
from finscale.scaling.fits import CurveFit, fits_of
from finscale.scaling.isoflop import FREE, isoflop_words, runs_by_compute
from finscale.scaling.laws.surface import LEAST_SQUARES, LossLaw, fit_loss_law
from finscale.scaling.ledger import Ledger, open_ledger
from finscale.scaling.phases import load_hypotheses
from finscale.scaling.refused import read_refused
from finscale.scaling.report import generate_scaling_report
from finscale.scaling.results import export_results_csv, name_experiments
from finscale.scaling.rivals import Difference, differences_from_rivals, rival_rows
from finscale.scaling.settings import Settings, SettingsBlocks, read_settings, settings_of
from finscale.storage import write_atomically, write_csv, write_json, write_text

LEDGER = Path("results/ledger.csv")
SETTINGS = Path("results/settings.json")
_LONGEST = 60  # letters of a figure's second title for the settings of a curve
REFUSED = Path("results/refused.csv")
PHASES = Path("phases.yaml")
METRICS = Path("metrics/scaling.json")
CURVE = Path("plots/scaling_curve.csv")
FIGURE = Path("plots/scaling_curve.png")
PRINT_FIGURE = Path("plots/scaling_curve.svg")
FIGURES = Path("plots/scaling")
REPORTS = Path("reports/scaling.json")
DATA_LAWS = Path("reports/data_laws.json")
SUMMARY = Path("reports/experiments.md")
ALL_RESULTS = Path("results/all_results.csv")


class Params(StudyAxes, SettingsBlocks):
    evaluation: EvaluationConfig

    def axes(self) -> dict[str, Any]:
        """What the ledger calls a curve by."""
        return self.model_dump(include=set(StudyAxes.model_fields)) | {"scheme": self.evaluation.identity(self.source)}

    def settings(self) -> Settings:
        """What today's run would have set beside its axes."""
        return settings_of(self.model_dump())


def all_reports(results: pd.DataFrame, first: str, fits: Mapping[str, CurveFit]) -> list[dict[str, Any]]:
    names = sorted(set(results["experiment"]), key=lambda name: (name != first, name))
    return [generate_scaling_report(results, name, fit=fits.get(name)) for name in names]


def headline(study: pd.DataFrame, report: dict[str, Any] | None) -> dict[str, Any]:
    """What `dvc metrics` compares. report: None where the ledger holds no run of today's axes and settings."""
    counts = {"runs": len(study), "sizes": study["budget"].nunique()}
    if report is None or report["fit_results"] is None:
        return counts | {"verdict": f"undecidable: too few sizes in {LEDGER}; `make pilot` runs a ladder"}
    law = {"law": report["law"] or "cannot be told"}
    words = {"verdict": report["verdict_in_words"]}
    return counts | words | law | report["fit_results"] | {"forecast": report["forecast"]}


def law_with_floor(study: pd.DataFrame, report: dict[str, Any] | None) -> LossLaw | None:
    """The law with irreducible loss, where AICc prefers it to all others."""
    if report is None or report["law"] != "irreducible loss":
        return None
    return fit_loss_law(study["params_total"].to_numpy(), study["test_loss"].to_numpy(), LEAST_SQUARES)


def curve_titles(params: Params, curve: Curve, study: pd.DataFrame) -> tuple[str, str]:
    """What the figure shows, and of what."""
    words = task_words(params.task, params.horizon)
    seeds = int(study.groupby("budget")["seed"].nunique().max()) if len(study) else 0
    scheme = [] if params.evaluation.scheme == "single" else [params.axes()["scheme"]]
    data = f"{params.source} {data_set(params.assets, params.quality)}, {params.timescale}, {params.tier}"
    own = [curve.differs] if curve.differs else []
    if len(curve.differs) > _LONGEST:  # the report spells them out
        own = [f"settings {curve.name.rpartition('-')[2]}"]
    return "Test loss by model size", "; ".join([words, data, *scheme, *own, f"up to {seeds} seeds"])


def draw_curve(
    params: Params, curve: Curve, study: pd.DataFrame, report: dict[str, Any] | None, fit: CurveFit | None
) -> None:
    law, band = (None, None) if fit is None else (fit.shown(), fit.band())
    floor = law_with_floor(study, report)
    title, under = curve_titles(params, curve, study)
    for path in (FIGURE, PRINT_FIGURE):
        write_atomically(
            path, lambda temporary: plot_scaling_curve(study, law, title, temporary, floor, under=under, band=band)
        )


def write_tables(
    runs: pd.DataFrame, reports: list[dict[str, Any]], ledger: Ledger, refused: pd.DataFrame,
    fits: Mapping[str, CurveFit], differences: list[Difference], laws: list[dict[str, Any]],
) -> None:  # fmt: skip
    write_json(REPORTS, reports)
    write_json(DATA_LAWS, laws)
    hypotheses = load_hypotheses(PHASES)
    summary = generate_experiment_summary_report(runs, reports, refused, ledger.faults, differences, hypotheses)
    write_text(SUMMARY, summary + _size_by_data(laws) + _rivals(differences))
    write_csv(ALL_RESULTS, export_results_csv(shown(runs), {name: one.shown() for name, one in fits.items()}))


def _size_by_data(laws: list[dict[str, Any]]) -> str:
    """The section of runs that differ in size and in data; nothing where there are none."""
    lines = "\n".join(f"- {words}" for law in laws for words in law["words"])
    return f"\n## Size by data\n\n{lines}\n" if lines else ""


def _rivals(differences: list[Difference]) -> str:
    """The section of differences from rivals; nothing where no run has losses per day."""
    rows = rival_rows(differences)
    table = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
    return f"\n## Against rivals on paired days\n\n{table}\n" if rows else ""


def main() -> None:
    params = load_params(Params)
    ledger, known, refused = open_ledger(LEDGER), read_settings(SETTINGS), read_refused(REFUSED)
    curve, alike = (curve_of(params.axes(), params.settings(), ledger.rows, known, free) for free in ((), FREE))
    runs = name_experiments(ledger.rows, known)
    lines = [again(run, known.get(run["settings"]), params.model_dump()) for run in runs.to_dict("records")]
    runs = runs.assign(again=lines)
    results, by_compute = shown(runs), runs_by_compute(ledger.rows, alike.name, known)
    fits, differences = fits_of(results, DAILY), differences_from_rivals(runs, DAILY)
    study, reports = results[results["experiment"] == curve.name], all_reports(results, curve.name, fits)
    today = reports[0] if len(study) else None
    frontier = frontier_told(study, EPOCHS)
    if today:
        today["frontier"] = frontier
    told = {"experiment": curve.name, "settings": curve.differs} | headline(study, today)
    laws = data_laws(ledger.rows, known)
    words = {"isoflop": isoflop_words(by_compute), "frontier": frontier["words"]}
    write_json(METRICS, told | words | {"set_aside": list(ledger.faults)})
    write_tables(runs, reports, ledger, refused, fits, differences, laws)
    points = ["params_total", "test_loss", "budget", "seed", "experiment"]
    write_csv(CURVE, study.reindex(columns=points).rename(columns={"params_total": "params"}))
    draw_curve(params, curve, study, today, fits.get(curve.name))
    draw_gallery(runs, curve.name, FIGURES, by_compute, refused, DAILY, fits, differences, laws)
    for line in (
        *(f"set aside: {fault}" for fault in ledger.faults),
        *(words for law in laws for words in law["words"]),
        frontier["words"],
    ):
        print(f"scaling: {line}")
    own = f" ({curve.differs})" if curve.differs else ""
    print(f"scaling: {len(study)} runs of {curve.name}{own}; {told['verdict']}")


if __name__ == "__main__":
    run(main)
