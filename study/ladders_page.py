"""What docs/controls.md tells of the ladders, and their figure."""

from pathlib import Path
from typing import Any

import pandas as pd

from finscale.pages.control_figures import ControlPanel, plot_controls
from finscale.scaling.data_laws import law_words
from finscale.scaling.laws.checks import count_sizes
from finscale.scaling.laws.power_law import MIN_SIZES, fit_with_interval
from study.ladders import Judged, along_windows, judged, ladder, law_of_data
from study.noiseless import noiseless

AT = "100K"  # the size whose loss is drawn against data


def told_of_ladders(figure: Path) -> dict[str, Any]:
    """The values of the template's ladders. Draws the figure."""
    teacher, walk = judged(("teacher", "walk"))
    data, dense = along_windows(AT), noiseless(ladder("dense"))
    laws = [law_words(one) for one in law_of_data()]
    of_teacher = noiseless(teacher.runs)
    bound = float(of_teacher["bound"].mean()) if len(of_teacher) else None
    plot_controls(
        [
            ControlPanel("a law that takes capacity", "parameters", of_teacher, teacher.fit, bound),
            ControlPanel("a random walk", "parameters", walk.runs, walk.fit),
            ControlPanel(f"the law, at {AT}", "training windows", data.runs, data.fit),
        ],
        figure,
    )
    return {
        "figure": figure.name,
        "ladders": [told(teacher, of_teacher), told(walk, walk.runs)],
        "dense": of_dense(dense, teacher),
        "data": {
            "expects": data.expects,
            "rows": by_windows(data.runs),
            "laws": laws,
        },
        "bound": None if bound is None else f"{bound:.4f}",
    }


def told(one: Judged, runs: pd.DataFrame) -> dict[str, Any]:
    whole = str(one.report["interpretation"]) if one.report else ""
    more = whole.removeprefix(one.verdict()).lstrip("; ")
    return {
        "phase": one.phase,
        "expects": one.expects,
        "verdict": one.verdict(),
        "more": more[:1].upper() + more[1:],
        "rows": by_size(runs),
    }


def by_size(runs: pd.DataFrame) -> list[dict[str, str]]:
    """A row per size: mean test loss over seeds, and what is expected where it is known."""
    rows = []
    for params, of_size in runs.groupby("params") if len(runs) else ():
        row = {
            "budget": str(of_size["budget"].iloc[0]),
            "parameters": f"{params:,.0f}",
            "seeds": f"{len(of_size)}",
            "training windows": f"{of_size['train_windows'].iloc[0]:,}",
            "test loss": f"{of_size['test_loss'].mean():.4f}",
        }
        if "expected_loss" in of_size:
            row |= {"in expectation": f"{of_size['expected_loss'].mean():.4f}"}
        rows.append(row | {"CatBoost": f"{of_size['catboost_loss'].mean():.4f}"})
    return rows


def by_windows(runs: pd.DataFrame) -> list[dict[str, str]]:
    groups = runs.groupby("train_windows") if len(runs) else ()
    return [
        {"training windows": f"{windows:,}", "seeds": f"{len(one)}", "test loss": f"{one['test_loss'].mean():.4f}"}
        for windows, one in groups
    ]


def of_dense(runs: pd.DataFrame, teacher: Judged) -> dict[str, str] | None:
    """The exponent of the noiseless losses, and whether the ladder's interval holds it; None before both have run."""
    if teacher.fit is None or teacher.fit.exponent is None or count_sizes(runs["params"].to_numpy(float)) < MIN_SIZES:
        return None
    law, alpha = (
        fit_with_interval(runs["params"].to_numpy(), runs["expected_loss"].to_numpy()),
        teacher.fit.exponent.alpha,
    )
    return {
        "sizes": f"{count_sizes(runs['params'].to_numpy(float))}",
        "alpha": f"{law.alpha:.4f}",
        "interval": f"{alpha.value:.4f} ({alpha.low:.4f} to {alpha.high:.4f})",
        "holds": "holds it" if alpha.low <= law.alpha <= alpha.high else "does not hold it",
    }
