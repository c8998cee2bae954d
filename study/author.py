"""The names of SPEC 11 as the study's author calls them: results by experiment name, files at predictable places.

    from study.author import generate_scaling_report, plot_scaling_curve
    report = generate_scaling_report("P1")          # also reports/P1_scaling.json
    figure = plot_scaling_curve("P1")               # also plots/P1_scaling.png

An experiment is a curve's name as reports/experiments.md has them, or the beginning of its runs' names: P1, P2-500,
pilot. Every output path may be given; without one, nothing but the places named here is written. An empty folder
or ledger gives an empty table. Each call is thin: what it does stands in the module that it imports.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from finscale.config import load_params
from finscale.data.bars import get_freq_string, resample_ohlcv
from finscale.errors import InputError
from finscale.pages import experiments, scaling_figures
from finscale.scaling import report, results
from finscale.scaling.curves import shown
from finscale.scaling.daily import FOLDER as DAILY
from finscale.scaling.fits import CurveFit, fits_of
from finscale.scaling.laws.power_law import fit_power_law
from finscale.scaling.ledger import read_ledger
from finscale.scaling.settings import SETTINGS_FILE, read_settings
from finscale.storage import write_csv, write_json, write_text
from study.author_search import create_objective, create_study, load_search_space, run_hpo, save_best_params
from study.collect import LEDGER

REPORTS = Path("reports")
PLOTS = Path("plots")
ALL_RESULTS = Path("results/all_results.csv")
SEARCHES = Path("results/hpo")

__all__ = [
    "aggregate_hpo_results", "aggregate_training_results", "compare_scaling_across_tasks", "create_objective",
    "create_study", "export_results_csv", "fit_power_law", "generate_data_dictionary",
    "generate_experiment_summary_report", "generate_scaling_report", "get_freq_string", "load_experiment_results",
    "load_search_space", "plot_scaling_curve", "resample_ohlcv", "run_hpo", "save_best_params", "summarize_experiment",
]  # fmt: skip


def load_experiment_results(experiment: str | None = None, ledger: Path = LEDGER) -> pd.DataFrame:
    """The runs of one experiment, or of all: one row per run, with budget, params, val_loss, test_loss, accuracy.

    Empty where the ledger is. Raises InputError for an experiment that is not there, with the names that are.
    """
    rows = read_ledger(ledger)
    found = shown(results.name_experiments(rows, read_settings(ledger.with_name(SETTINGS_FILE))))
    if experiment is None or found.empty:
        return found
    mine = found[(found["experiment"] == experiment) | found["name"].str.startswith(f"{experiment}-")]
    return mine if len(mine) else report.select_experiment(found, experiment)


def generate_scaling_report(
    experiment: str, output_path: Path | None = None, metric: str = "test_loss", ledger: Path = LEDGER
) -> dict[str, Any]:
    """SPEC 11's report of one experiment; also written, by default to reports/<experiment>_scaling.json."""
    runs = _one_curve(experiment, ledger)
    fit = _fits(ledger, metric).get(_name_of(runs))
    told = report.generate_scaling_report(runs, _name_of(runs), metric, fit)
    write_json(output_path or REPORTS / f"{experiment}_scaling.json", told)
    return told


def plot_scaling_curve(experiment: str, output_path: Path | None = None, ledger: Path = LEDGER) -> Figure:
    """Loss against parameters with fit line, alpha and R²; also written: plots/<experiment>_scaling.png."""
    runs = _one_curve(experiment, ledger)
    path = _folder_of(output_path or PLOTS / f"{experiment}_scaling.png")
    name = _name_of(runs)
    fit = _fits(ledger).get(name)
    law, band = (None, None) if fit is None else (fit.shown(), fit.band())
    return scaling_figures.plot_scaling_curve(runs, law, name, path, band=band)


def compare_scaling_across_tasks(
    experiments: list[str] | None = None, output_path: Path | None = None, ledger: Path = LEDGER
) -> Figure:
    """A panel per curve of these experiments (default: all); also written: plots/scaling_across_tasks.png."""
    asked: list[str | None] = [*experiments] if experiments else [None]
    parts = [load_experiment_results(name, ledger) for name in asked]
    runs = pd.concat(parts).drop_duplicates("key")
    path = _folder_of(output_path or PLOTS / "scaling_across_tasks.png")
    return scaling_figures.compare_scaling_across_tasks(runs, path, fits=_fits(ledger))


def aggregate_training_results(experiment: str | None = None, ledger: Path = LEDGER) -> pd.DataFrame:
    """One row per experiment and budget: seeds, mean losses and their spread. Empty where nothing was run."""
    return results.aggregate_training_results(_with_columns(load_experiment_results(experiment, ledger)))


def aggregate_hpo_results(folder: Path = SEARCHES) -> pd.DataFrame:
    """One row per {budget}_best.json below a folder. Empty where there is none."""
    if not any(Path(folder).rglob("*_best.json")):
        return pd.DataFrame(columns=[key for key in results.HPO_KEYS if key != "best_params"])
    return results.aggregate_hpo_results(Path(folder))


def summarize_experiment(experiment: str, searches: Path = SEARCHES, ledger: Path = LEDGER) -> dict[str, Any]:
    """The numbers of one experiment: best_budget, scaling_factor, training_summary and hpo_summary among them."""
    runs = _one_curve(experiment, ledger)
    training = results.aggregate_training_results(runs)
    searched = aggregate_hpo_results(searches)
    mine = searched[searched["experiment"].astype(str) == experiment] if len(searched) else searched
    return report.summarize_experiment(runs, _name_of(runs)) | {
        "training_summary": training.drop(columns="experiment").to_dict("records"),
        "hpo_summary": mine.to_dict("records"),
    }


def export_results_csv(output_path: Path | None = None, ledger: Path = LEDGER) -> pd.DataFrame:
    """One row per run with the fit of its curve; also written, by default to results/all_results.csv."""
    laws = {name: fit.shown() for name, fit in _fits(ledger).items()}
    table = results.export_results_csv(load_experiment_results(None, ledger), laws)
    write_csv(output_path or ALL_RESULTS, table)
    return table


def generate_experiment_summary_report(
    experiment: str | None = None, output_path: Path | None = None, ledger: Path = LEDGER
) -> str:
    """All experiments, or one, in Markdown; also written where a path is given."""
    runs, fits = load_experiment_results(experiment, ledger), _fits(ledger)
    names = sorted(runs["experiment"].unique()) if len(runs) else []
    reports = [report.generate_scaling_report(runs, name, fit=fits.get(name)) for name in names]
    text = experiments.generate_experiment_summary_report(runs, reports)
    if output_path:
        write_text(output_path, text)
    return text


def generate_data_dictionary(output_path: Path | None = None) -> str:
    """The data dictionary of this workspace's files in Markdown; also written where a path is given."""
    from stages import dictionary  # the catalogue of features takes a second

    text = dictionary.describe(load_params(dictionary.Params))
    if output_path:
        write_text(output_path, text)
    return text


def _one_curve(experiment: str, ledger: Path) -> pd.DataFrame:
    runs = load_experiment_results(experiment, ledger)
    if runs.empty:
        raise InputError(f"{ledger}: no experiment in it; `make pilot` runs a ladder")
    names = sorted(runs["experiment"].unique())
    if len(names) > 1:
        raise InputError(f"experiment {experiment} is {len(names)} curves; name one of them: {', '.join(names)}")
    return runs


def _fits(ledger: Path, metric: str = "test_loss") -> dict[str, CurveFit]:
    """Of all curves, as the stage `scaling` has them: a curve is judged among all, whichever is asked for."""
    return fits_of(load_experiment_results(None, ledger), ledger.with_name(DAILY.name), metric)


def _name_of(runs: pd.DataFrame) -> str:
    return str(runs["experiment"].iloc[0])


def _folder_of(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _with_columns(runs: pd.DataFrame) -> pd.DataFrame:
    """An empty table with the columns that an aggregate asks for."""
    return runs if len(runs) else runs.reindex(columns=list(dict.fromkeys([*runs, *results.AGGREGATED])))
