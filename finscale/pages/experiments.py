"""All experiments of a ledger in Markdown: verdicts, grids of skill, budgets."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from finscale.pages.render import Rows, render
from finscale.pages.style import LossUnit, alpha_text, loss_unit, shown
from finscale.scaling.curves import other_versions
from finscale.scaling.curves import shown as newest_complete
from finscale.scaling.phases import Hypothesis
from finscale.scaling.report import generate_scaling_report, summarize_experiment
from finscale.scaling.results import aggregate_training_results
from finscale.scaling.rivals import Difference
from finscale.scaling.skill_grid import SkillCell, SkillGrid, horizon_words, skill_grids, threshold_words


def generate_experiment_summary_report(
    runs: pd.DataFrame,
    reports: list[dict[str, Any]] | None = None,
    refused: pd.DataFrame | None = None,
    faults: Sequence[str] = (),
    differences: Sequence[Difference] = (),
    hypotheses: Sequence[Hypothesis] = (),
) -> str:
    """All experiments in Markdown: one table of verdicts, then one of budgets for each experiment.

    runs: of load_experiment_results or name_experiments, whose other versions of code and data are listed at the end.
    faults: what the ledger set aside. reports: from generate_scaling_report, one per experiment; made here where
    they are not given. refused: of read_refused. differences: of differences_from_rivals, for the grids of skill.
    hypotheses: of load_hypotheses. Verdicts follow p-values of alpha = 0 adjusted for the number of curves (Holm 1979;
    fits_of), so that one curve in twenty is not called a law by chance.
    """
    results = newest_complete(runs)
    names = sorted(results["experiment"].unique()) if len(results) else []
    made = [generate_scaling_report(results, name) for name in names] if reports is None else reports
    told = {report["experiment"]: report for report in made}
    return render(
        "experiments.md.j2",
        expected=[
            {
                "phase": one.phase,
                "words": one.expects,
                "outcome": _outcome(results, one.experiments(results), told),
                "rows": len({row.name for row in one.rows}),
                "not_run": one.not_run(runs),
            }
            for one in hypotheses
        ],
        summaries=[_summary_row(results, name, told[name]) for name in names],
        grids=[
            {"name": grid.name, "budget": grid.budget, "rows": _grid_rows(grid)}
            for grid in skill_grids(runs, refused, differences)
        ],
        experiments=[_experiment(results, name, told[name]) for name in names],
        others=other_versions(runs),
        faults=faults,
    )


def _experiment(results: pd.DataFrame, name: str, report: dict[str, Any]) -> dict[str, Any]:
    own = results[results["experiment"] == name]
    return {
        "name": name,
        "interpretation": report["interpretation"],
        "differs": own["differs"].iloc[0],
        "code": report["code"],
        "data": report["data"][:12],
        "budgets": _budget_rows(aggregate_training_results(own), loss_unit(own["task"].iloc[0])),
    }


def _outcome(results: pd.DataFrame, names: Sequence[str], told: Mapping[str, dict[str, Any]]) -> Rows:
    """Of each curve of a phase how it came out, and how many of its sizes have been run."""
    columns = ("experiment", "runs", "sizes", "alpha (95 % interval)", "verdict", "mean skill")
    rows = [_summary_row(results, name, told[name]) for name in names]
    return [{column: row[column] for column in columns} for row in rows]


def _summary_row(results: pd.DataFrame, name: str, report: dict[str, Any]) -> dict[str, object]:
    summary, fit = summarize_experiment(results, name), report["fit_results"]
    return {
        "experiment": name,
        "runs": summary["runs"],
        "sizes": summary["sizes"],
        "alpha (95 % interval)": alpha_text(fit) if fit else "-",
        "R²": f"{fit['r_squared']:.2f}" if fit else "-",
        "p": f"{fit['p_value_adjusted']:.3g}" if fit and fit["p_value_adjusted"] is not None else "-",
        "verdict": report["verdict"],
        "mean skill": f"{summary['mean_test_skill']:+.4f}",
        "collapsed": summary["collapsed_runs"],
    }


def _budget_rows(budgets: pd.DataFrame, unit: LossUnit) -> Rows:
    def mean_and_spread(row: dict[str, Any], loss: str) -> str:
        mean, deviation = row[loss], row[f"{loss}_std"]
        return unit.text(mean) if np.isnan(deviation) else f"{unit.text(mean)} ± {unit.text(deviation)}"

    return [
        {
            "budget": row["budget"],
            "parameters": f"{row['params']:,}",
            "seeds": row["seeds"],
            f"validation loss ({unit.unit})": mean_and_spread(row, "val_loss"),
            unit.axis: mean_and_spread(row, "test_loss"),
            "skill": f"{row['test_skill']:+.4f}",
            "best epoch": f"{row['best_epoch']:.0f}",
            "training": f"{row['train_seconds']:,.0f} s",
        }
        for row in budgets.to_dict("records")
    ]


def rivals_words(cell: SkillCell, with_p: bool = False) -> list[str]:
    """['GARCH +2.8%, beaten', 'CatBoost +4.0%, not beaten'], on the same days; with_p adds ' (p = 0.012)'."""
    return [
        f"{shown(name)} {skill:+.1%}" + (_against(cell.against[name], with_p) if name in cell.against else "")
        for name, skill in cell.rivals.items()
    ]


def _against(paired: Difference, with_p: bool) -> str:
    if not paired.judged:
        return ", not judged"
    word = {"better": "beaten", "worse": "wins", "": "not beaten"}[paired.established]
    return f", {word}" + (f" (p = {paired.adjusted_p:.2g})" if with_p else "")


def _grid_rows(grid: SkillGrid) -> Rows:
    """'+3.1% (-0.1% to +6.3% over seeds and days), 3 seeds; GARCH +2.8%, beaten (p = 0.012)' in each cell."""

    def words(cell: SkillCell | str | None) -> str:
        if not isinstance(cell, SkillCell):
            return cell or "no run"
        base = cell.against.get("base_rate")
        p = "" if base is None or not base.judged else f", p = {base.adjusted_p:.2g}"
        interval = f"{cell.skill:+.1%} ({cell.low:+.1%} to {cell.high:+.1%} over {cell.covers}{p})"
        return f"{interval}, {cell.seeds_words}; {', '.join(rivals_words(cell, with_p=True))}"

    rows: list[dict[str, object]] = []
    for task, row in grid.cells.iterrows():
        cells = {horizon_words(str(horizon)): words(cell) for horizon, cell in row.items()}
        rows.append({"return": threshold_words(str(task)), **cells})
    return rows
