"""The committed results of this repository as the page takes them, for tests of the page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from finscale.evaluation.ranking import rankings
from finscale.pages.page import Results
from finscale.pages.run_tables import coverage_table, equity_table, rolling_ic
from finscale.scaling.isoflop import isoflop_words, runs_by_compute
from finscale.scaling.ledger import read_ledger
from finscale.scaling.report import generate_scaling_report
from finscale.scaling.results import export_results_csv, load_experiment_results
from finscale.scaling.settings import read_settings

PLOTS_PAGE, LEDGER = Path(".dvc/plots/offline.html"), Path("results/ledger.csv")
STUDY = "bundled-Aa-daily-a20-threshold_1pct-h5"
LINE = "dvc exp run -S budget=10K -S seed=0"


def some_curves() -> dict[str, object]:
    """Of a model that knows something, on the days of the committed account; predictions are DVC's to keep."""
    equity = pd.read_csv("plots/equity.csv")
    rng, days = np.random.default_rng(0), pd.to_datetime(equity["date"])
    label = rng.integers(0, 2, len(days)).astype(float)
    persistence = np.where(rng.random(len(days)) < 0.5, 0.3, 0.4)
    test = pd.DataFrame({"label": label, "model": label + rng.normal(size=len(days)), "persistence": persistence})
    wide = rng.random((len(days), 4))
    columns = ["split_covered", "adaptive_covered", "split_width", "adaptive_width"]
    return {
        "rankings": rankings(test, ["model", "persistence"]),
        "share": label.mean(),
        "equity": equity_table(equity),
        "rank_ic": rolling_ic(pd.DataFrame(columns=["date", "model", "rank_ic"])),
        "coverage": coverage_table(pd.DataFrame(wide, columns=columns).assign(date=days, asset="A")),
    }


def committed_results() -> Results:
    """The committed results of the repository; what DVC keeps (loss curves, raw manifest) is written out here."""
    loaded = load_experiment_results(LEDGER)
    names = sorted(set(loaded["experiment"]), key=lambda name: name != STUDY)
    series = {"series": "SP500", "kind": "prices", "origin": "arch", "first": "1999-01-04", "last": "2018-12-31"}
    by_compute = runs_by_compute(read_ledger(LEDGER), STUDY, read_settings(LEDGER.with_name("settings.json")))
    return Results(
        **{
            name: json.loads(Path(f"metrics/{file}.json").read_text())
            for name, file in (("experiment", "experiment"), ("evaluated", "evaluate"),
                               ("compared", "compare"), ("traded", "trade"))
        },
        **some_curves(),
        splits={"test": {"rows": 749, "first": "2016-01-04", "last": "2018-12-21", "positives": 205, "rate": 0.2737}},
        study=STUDY,
        reports=[generate_scaling_report(loaded, name) for name in names],
        runs=export_results_csv(loaded.assign(again=LINE)),
        by_compute=[isoflop_words(by_compute)],
        reliability=pd.read_csv("plots/reliability.csv"),
        losses=pd.DataFrame({"epoch": [1, 2, 3], "train": [0.7, 0.6, 0.5], "validation": [0.68, 0.62, 0.66]}),
        manifest=pd.DataFrame([series | {"rows": 5031, "md5": "0" * 32, "notes": ""}]),
        findings=[{"series": name, "rule": "hole", "severity": "warning", "where": ["2011-02-17"] * days, "remedy": "-"}
                  for name, days in (("AA", 1), ("ABC", 3), ("ADI", 2), ("ZION", 1))],
        figures={},
        own_figures={"coverage": Path("plots/coverage.png")},
        inputs={"results/all_results.csv": "0" * 32},
        notes=["a note with <angle brackets> & an ampersand"],
    )  # fmt: skip
