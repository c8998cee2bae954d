"""A stage imports what it needs: `evaluate` is statistics alone, and what cleans data loads no statistics."""

import subprocess
import sys

import pytest

SCORING = ("evaluate", "trade", "report", "scaling")
DATA = (
    "configure", "download", "validate", "resample", "align", "features", "label", "dataset", "dictionary", "tune",
    "meta",
)  # fmt: skip
LEARNING = {"torch", "catboost", "optuna", "transformers"}
SHOWING = ("trade", "report")  # what is computed with these is in tables by then
FITTING = {"sklearn", "arch", "statsmodels", "mapie", "scipy.stats", "scipy.optimize", "exchange_calendars"}
STATISTICS = {"scipy", "sklearn", "arch", "statsmodels", "mapie", "matplotlib", "exchange_calendars"}


@pytest.mark.parametrize(
    ("stages", "unwanted"),
    [(SCORING, LEARNING), (SHOWING, LEARNING | FITTING), (DATA, LEARNING | STATISTICS)],
)
def test_importing_stages_loads_no_more_than_they_use(stages: tuple[str, ...], unwanted: set[str]) -> None:
    # One process for all: the first that loads too much is named with what it loaded.
    check = (
        "import importlib, sys\n"
        f"for stage in {stages!r}:\n"
        "    importlib.import_module(f'stages.{stage}')\n"
        f"    found = sorted({unwanted!r} & set(sys.modules))\n"
        "    assert not found, f'stages.{stage} imports {found}'\n"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
