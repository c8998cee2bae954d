"""scaling: the ledger -> a power law and its curve

Reads  results/ledger.csv          one row per finished experiment (`make collect` adds them)
Writes metrics/scaling.json        the fit with its interval, and a verdict in words
       plots/scaling_curve.csv     its points, for `dvc plots`
       plots/scaling_curve.png     the figure in README
Why    the question of the study, answered from everything that has been run so far.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import AssetTier, Block, FeatureTier, Horizon, Quality, Source, Task, Timescale, load_params
from finscale.scaling.figures import plot_scaling_curve
from finscale.scaling.law import MIN_SIZES, PowerLaw, fit_with_interval
from finscale.scaling.ledger import read_ledger, select_study
from finscale.storage import write_atomically, write_csv, write_json

LEDGER = Path("results/ledger.csv")
METRICS = Path("metrics/scaling.json")
CURVE = Path("plots/scaling_curve.csv")
FIGURE = Path("plots/scaling_curve.png")


class Params(Block):
    source: Source
    assets: AssetTier
    quality: Quality
    timescale: Timescale
    tier: FeatureTier
    task: Task
    horizon: Horizon


def scaling(study: pd.DataFrame) -> PowerLaw | None:
    """The law of one study, or None while it has too few sizes."""
    if study.get("params_total", pd.Series(dtype=int)).nunique() < MIN_SIZES:
        return None
    return fit_with_interval(study["params_total"].to_numpy(), study["test_loss"].to_numpy())


def report(study: pd.DataFrame, law: PowerLaw | None) -> dict[str, Any]:
    found: dict[str, Any] = {"runs": len(study), "sizes": study["budget"].nunique()}
    if law is None:
        return found | {"verdict": f"undecided: fewer than {MIN_SIZES} sizes in {LEDGER}; `make pilot` runs a ladder"}
    return found | {"code_versions": study["code"].nunique(), "verdict": law.verdict, **asdict(law)}


def main() -> None:
    params = load_params(Params)
    study = select_study(read_ledger(LEDGER), params.model_dump())
    law = scaling(study)
    title = f"{params.task}, horizon {params.horizon}, {params.tier}, {params.source} {params.assets}{params.quality}"
    write_json(METRICS, report(study, law))
    points = ["params_total", "test_loss", "budget", "seed"]
    write_csv(CURVE, study.reindex(columns=points).rename(columns={"params_total": "params"}))
    write_atomically(FIGURE, lambda temporary: plot_scaling_curve(study, law, title, temporary))
    print(f"scaling: {len(study)} runs of {title}; {report(study, law)['verdict']}")


if __name__ == "__main__":
    run(main)
