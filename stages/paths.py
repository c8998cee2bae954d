"""What lies where: the files that one stage makes and others read, in the order of the flow.

A stage's own figures and reports stand in its script. Every stage executes this file: a new line in it changes the
code of all of them.
"""

from pathlib import Path

INPUTS = Path("data/inputs.json")
RAW = Path("data/raw")
VALIDATED = Path("metrics/validate.json")
DAILY = Path("data/interim/daily.parquet")
BARS = Path("data/interim/bars.parquet")
SERIES = Path("data/interim/series.parquet")
FEATURES = Path("data/interim/features.parquet")
LABELS = Path("data/processed/labels.parquet")

FOLDS = Path("data/processed/folds.csv")
DEVELOPMENT = Path("data/processed/development.parquet")
TEST = Path("data/processed/test.parquet")
TEST_LABELS = Path("data/processed/test_labels.parquet")

BASELINE_PREDICTIONS = Path("data/processed/baseline_predictions.parquet")
SEARCH = Path("models/search.json")
META = Path("models/meta.json")
TUNED = Path("models/tune")
WEIGHTS = Path("models/model.safetensors")
MODEL = Path("models/model.json")
LOG = Path("dvclive")
MODEL_PREDICTIONS = Path("data/processed/model_predictions.parquet")
CALIBRATION = Path("models/calibration.json")

PREDICTIONS = Path("data/processed/predictions.parquet")
CONFORMAL = Path("data/processed/conformal.parquet")
CROSS_SECTION = Path("data/processed/cross_section.parquet")
EXPERIMENT = Path("metrics/experiment.json")
RELIABILITY_TABLE = Path("plots/reliability.csv")
BY_YEAR_TABLE = Path("plots/by_year.csv")
COMPARED = Path("metrics/compare.json")
RANKINGS = Path("data/processed/rankings.json")
EQUITY_TABLE = Path("plots/equity.csv")

# The first fold's; those of later folds lie in a folder beside it (finscale/data/folds.py).
PER_FOLD = (DEVELOPMENT, TEST, TEST_LABELS, WEIGHTS, MODEL, CALIBRATION)
