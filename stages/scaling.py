"""scaling: the ledger -> laws, verdicts, curves

Reads  results/ledger.csv          one row per finished experiment (`make collect` adds them)
       results/settings.json       what each of them had set: runs of different settings share no curve
       results/refused.csv         runs that the data refused, and why
Writes metrics/scaling.json        the fit of today's axes and settings with its interval, and a verdict in words
       plots/scaling_curve.csv     its points, for `dvc plots`
       plots/scaling_curve.png     the figure in README; .svg the same for print
       plots/scaling/              the other figures that the ledger can carry
       reports/scaling.json        SPEC 11's report of every experiment, today's axes first
       reports/experiments.md      all experiments in words and tables
       results/all_results.csv     one row per run with the fit of its curve, and the line that makes it again
Why    the question of the study, answered from everything that has been run so far.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import StudyAxes, load_params
from finscale.data.config import EvaluationConfig
from finscale.pages.experiments import generate_experiment_summary_report
from finscale.pages.gallery import draw_gallery
from finscale.pages.scaling_figures import plot_scaling_curve
from finscale.pages.style import task_words
from finscale.scaling.again import again
from finscale.scaling.isoflop import isoflop_words, runs_by_compute
from finscale.scaling.laws.surface import LEAST_SQUARES, LossLaw, fit_loss_law
from finscale.scaling.ledger import read_ledger, study_name
from finscale.scaling.refused import read_refused
from finscale.scaling.report import generate_scaling_report
from finscale.scaling.results import export_results_csv, fit_of, name_experiments
from finscale.scaling.settings import Settings, SettingsBlocks, read_settings, settings_of_all_sources
from finscale.storage import write_atomically, write_csv, write_json, write_text

LEDGER = Path("results/ledger.csv")
SETTINGS = Path("results/settings.json")
REFUSED = Path("results/refused.csv")
METRICS = Path("metrics/scaling.json")
CURVE = Path("plots/scaling_curve.csv")
FIGURE = Path("plots/scaling_curve.png")
PRINT_FIGURE = Path("plots/scaling_curve.svg")
FIGURES = Path("plots/scaling")
REPORTS = Path("reports/scaling.json")
SUMMARY = Path("reports/experiments.md")
ALL_RESULTS = Path("results/all_results.csv")


class Params(StudyAxes, SettingsBlocks):
    evaluation: EvaluationConfig

    def axes(self) -> dict[str, Any]:
        """What the ledger calls a curve by."""
        return self.model_dump(include=set(StudyAxes.model_fields)) | {"scheme": self.evaluation.identity(self.source)}

    def settings(self) -> Settings:
        """Those of the curves with plain names."""
        return settings_of_all_sources(self.model_dump())


def all_reports(results: pd.DataFrame, first: str) -> list[dict[str, Any]]:
    names = sorted(set(results["experiment"]), key=lambda name: (name != first, name))
    return [generate_scaling_report(results, name) for name in names]


def headline(study: pd.DataFrame, report: dict[str, Any] | None) -> dict[str, Any]:
    """What `dvc metrics` compares. report: None where the ledger holds no run of today's axes and settings."""
    counts = {"runs": len(study), "sizes": study["budget"].nunique()}
    if report is None or report["fit_results"] is None:
        return counts | {"verdict": f"undecidable: too few sizes in {LEDGER}; `make pilot` runs a ladder"}
    law = {"law": report["laws"][0]["law"]}
    words = {"verdict": report["verdict_in_words"]}
    return counts | {"code_versions": study["code"].nunique()} | words | law | report["fit_results"]


def law_with_floor(study: pd.DataFrame, report: dict[str, Any] | None) -> LossLaw | None:
    """The law with irreducible loss, where AICc prefers it to all others."""
    if report is None or not report["laws"] or report["laws"][0]["law"] != "irreducible loss":
        return None
    return fit_loss_law(study["params_total"].to_numpy(), study["test_loss"].to_numpy(), LEAST_SQUARES)


def curve_titles(params: Params, study: pd.DataFrame) -> tuple[str, str]:
    """What the figure shows, and of what."""
    words = task_words(params.task, params.horizon)
    seeds = int(study.groupby("budget")["seed"].nunique().max()) if len(study) else 0
    scheme = [] if params.evaluation.scheme == "single" else [params.axes()["scheme"]]
    data = f"{params.source} {params.assets}{params.quality}, {params.timescale}, {params.tier}"
    return "Test loss by model size", "; ".join([words, data, *scheme, f"up to {seeds} seeds a size"])


def draw_curve(params: Params, study: pd.DataFrame, report: dict[str, Any] | None) -> None:
    law = fit_of(study) if report is not None else None
    floor = law_with_floor(study, report)
    title, under = curve_titles(params, study)
    for path in (FIGURE, PRINT_FIGURE):
        write_atomically(path, lambda temporary: plot_scaling_curve(study, law, title, temporary, floor, under=under))


def main() -> None:
    params = load_params(Params)
    ledger, name = read_ledger(LEDGER), study_name(params.axes())
    known, settings, refused = read_settings(SETTINGS), params.settings(), read_refused(REFUSED)
    results = name_experiments(ledger, known, settings)
    by_compute = runs_by_compute(ledger, name, known, settings)
    study, reports = results[results["experiment"] == name], all_reports(results, name)
    today = reports[0] if len(study) else None
    told = headline(study, today) | {"isoflop": isoflop_words(by_compute)}
    write_json(METRICS, told)
    write_json(REPORTS, reports)
    write_text(SUMMARY, generate_experiment_summary_report(results, reports, refused))
    lines = [again(run, known.get(run["settings"]), params.model_dump()) for run in results.to_dict("records")]
    write_csv(ALL_RESULTS, export_results_csv(results.assign(again=lines)))
    points = ["params_total", "test_loss", "budget", "seed", "experiment"]
    write_csv(CURVE, study.reindex(columns=points).rename(columns={"params_total": "params"}))
    draw_curve(params, study, today)
    draw_gallery(results, name, FIGURES, by_compute, refused)
    print(f"scaling: {len(study)} runs of {name}; {told['verdict']}")


if __name__ == "__main__":
    run(main)
