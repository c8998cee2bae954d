"""dictionary: every parquet file -> docs/data_dictionary.md, data/samples

Reads  data/raw, data/interim/*, data/processed/{labels,development}.parquet; of {test,test_labels} only the schema
Writes docs/data_dictionary.md  per file: shape, dates, source, md5, columns with their meaning, statistics
       data/samples/*.csv       up to 1000 rows of each, for review by eye
Why    a column that nobody can explain should not be in a study.
"""

from pathlib import Path

import yaml

from finscale.cli import run
from finscale.config import FeatureAxes, load_params
from finscale.data.series import PUBLICATION
from finscale.indicators.catalogue import features_of
from finscale.indicators.config import FeaturesConfig
from finscale.indicators.quality import features_of_series
from finscale.pages.dictionary import Meaning, Origin, generate_data_dictionary
from finscale.pages.many import READABLE
from finscale.storage import read_csv, read_footer, read_parquet, write_csv, write_text
from stages.paths import BARS, DAILY, DEVELOPMENT, FEATURES, LABELS, RAW, SERIES, TEST, TEST_LABELS

PIPELINE = Path("dvc.yaml")
DICTIONARY = Path("docs/data_dictionary.md")
SAMPLES = Path("data/samples")

_SAMPLE_ROWS = 1000
_OF_A_KIND = 5  # raw series described of each kind, where there are hundreds
_COLUMNS = {
    "date": Meaning("key", "session, or the day of an observation; no time of day"),
    "asset": Meaning("key", "symbol"),
    "open": Meaning("price", "first price of the bar"),
    "high": Meaning("price", "highest price of the bar"),
    "low": Meaning("price", "lowest price of the bar"),
    "close": Meaning("price", "last price of the bar"),
    "adj_close": Meaning("price", "close adjusted for splits and dividends"),
    "volume": Meaning("volume", "shares traded"),
    "value": Meaning("observation", "as published"),
    "week_end": Meaning("key", "last day of the week that the value is of"),
    "label": Meaning("label", "what is predicted: 0 or 1, the return, or the log volatility"),
    "exit": Meaning("label", "the day whose close decides the label"),
    "last_known": Meaning("label", "newest label known at the close of the day; for the persistence baseline"),
    "split": Meaning("key", "train, validation, calibration, test, or none: context only"),
    "rate_3m": Meaning("economic", "3-month USD LIBOR, continued by SOFR; percent a year"),
}


class Params(FeatureAxes):
    """What decides which columns there are."""

    features: FeaturesConfig = FeaturesConfig()


def meanings(params: Params) -> dict[str, Meaning]:
    """What each column holds: keys and prices, series with their publication lag, features with their definition."""
    series = {
        name.lower(): Meaning("series", f"used from the session after it is public: {publication.reason}")
        for name, publication in PUBLICATION.items()
    }
    features = {
        feature.name: Meaning(feature.category, feature.description)
        for feature in (
            *features_of(params.tier, params.timescale, params.features.levels),
            *features_of_series(read_footer(FEATURES).schema.to_arrow_schema().names, params.quality),
        )
    }
    return series | features | _COLUMNS


def lineage() -> dict[str, Origin]:
    """Which stage makes what from what, as dvc.yaml has it; code left out."""
    origins = {}
    for name, stage in yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"].items():
        inputs = [path for path in stage["deps"] if path.startswith("data/")]
        for out in stage.get("outs", []):
            path = out if isinstance(out, str) else next(iter(out))  # settings of an output make it a mapping
            if path.startswith("data/") and path != str(SAMPLES):
                origins[path] = Origin(name, inputs)
    return origins


def write_samples(files: list[Path]) -> None:
    """The newest rows of each file as CSV; files of series that are no longer wanted are removed."""
    written = set()
    for path in files:
        target = SAMPLES / f"{path.parent.name}_{path.stem}.csv"
        write_csv(target, read_parquet(path).tail(_SAMPLE_ROWS))
        written.add(target)
    for stale in set(SAMPLES.glob("*.csv")) - written:
        stale.unlink()


CLOSED = (TEST, TEST_LABELS)  # of the test split no value is shown


def files_described() -> list[Path]:
    """All but the test split; of hundreds of raw series, which have the same columns, the first of each kind."""
    raw = sorted(RAW.glob("*.parquet"))
    if len(raw) > READABLE:
        manifest = read_csv(RAW / "manifest.csv", keep_default_na=False)
        kept = set(manifest.groupby("kind")["series"].head(_OF_A_KIND))
        raw = [path for path in raw if path.stem in kept]
    return [*raw, DAILY, BARS, SERIES, FEATURES, LABELS, DEVELOPMENT]


def describe(params: Params) -> str:
    """The dictionary in Markdown."""
    files = [*files_described(), *CLOSED]
    return generate_data_dictionary(files, lineage(), meanings(params), frozenset(CLOSED))


def main() -> None:
    files = files_described()
    write_text(DICTIONARY, describe(load_params(Params)))
    write_samples(files)
    print(f"dictionary: {len(files) + len(CLOSED)} files described in {DICTIONARY}, samples in {SAMPLES}")


if __name__ == "__main__":
    run(main)
