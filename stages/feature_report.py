"""feature_report: features -> reports/features.md

Reads  data/interim/features.parquet, data/interim/features.json
Writes reports/features.md            families and counts, first usable days, correlation map, drift
       reports/features.csv           every feature: family, description, warm-up, drift
       plots/feature_correlation.png  correlation of the features on the training rows
       plots/feature_drift.png        rows of validation and test outside the range of training
Why    a feature that leaves the range it was trained on tells the model nothing; a person should see which do.
       It reads features and dates, never a label, and nothing depends on it.
"""

from pathlib import Path

from finscale.cli import run
from finscale.config import FeatureAxes, Source, load_params
from finscale.data.config import DatasetConfig
from finscale.indicators.catalogue import features_of
from finscale.indicators.config import FeaturesConfig
from finscale.indicators.quality import features_of_series
from finscale.pages.data_figures import plot_correlation, plot_drift
from finscale.pages.features import drift, page, training_sample
from finscale.storage import read_json, read_parquet, write_atomically, write_csv, write_text
from stages.paths import FEATURES

METRICS = Path("data/interim/features.json")
PAGE = Path("reports/features.md")
TABLE = Path("reports/features.csv")
CORRELATION = Path("plots/feature_correlation.png")
DRIFT = Path("plots/feature_drift.png")


class Params(FeatureAxes):
    source: Source
    dataset: DatasetConfig
    features: FeaturesConfig = FeaturesConfig()


def main() -> None:
    params = load_params(Params)
    own = features_of(params.tier, params.timescale, params.features.levels)
    features, ends = read_parquet(FEATURES), params.dataset.split.of(params.source, params.timescale)
    described = [*own, *features_of_series(features.columns, params.quality)]
    table = drift(features, ends, described)
    sample = training_sample(features, ends)
    write_atomically(CORRELATION, lambda temporary: plot_correlation(sample, described, temporary))
    write_atomically(DRIFT, lambda temporary: plot_drift(table, temporary))
    write_csv(TABLE, table)
    usable = read_json(METRICS)["assets"]
    write_text(PAGE, page(params.tier, described, usable, table, [CORRELATION, DRIFT]))
    leaving = int((table["outside_test"] > 0.05).sum())
    print(
        f"feature_report: {PAGE}; {leaving} of {len(table)} features leave the training range on over 5 % of test rows"
    )


if __name__ == "__main__":
    run(main)
