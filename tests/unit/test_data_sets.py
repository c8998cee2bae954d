"""All twenty data sets, Aa to Ed, from real files to rows that a model can learn from.

`make test` takes the smallest and the largest tier, with the assets of all others; `make test-slow` the rest.
"""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml

from finscale.calendar import sessions
from finscale.data.bars import adjust
from finscale.data.config import SplitDates
from finscale.data.dataset import assemble, feature_names
from finscale.data.labels import label
from finscale.data.series import on_sessions
from finscale.data.validation import validate
from finscale.indicators.quality import features_of_series
from finscale.sources.config import DataConfig
from finscale.sources.fetch import fetch
from finscale.sources.store import RawStore
from finscale.sources.universes import members
from stages.features import Params, write_features
from tests.unit.test_sources import MARKET, needs_market

# Search trends end in 2011, LIBOR in 2021: each data set gets the longest years that it has.
YEARS = {"d": (date(2002, 1, 2), date(2013, 12, 31)), "other": (date(2002, 1, 2), date(2021, 9, 7))}
ENDS = {
    "d": SplitDates(train_end=date(2008, 6, 30), validation_end=date(2009, 12, 31)),
    "other": SplitDates(train_end=date(2017, 12, 29), validation_end=date(2019, 12, 31)),
}


@needs_market
@pytest.mark.parametrize("assets", ["A", *(pytest.param(name, marks=pytest.mark.slow) for name in "BCD"), "E"])
@pytest.mark.parametrize("quality", ["a", "b", "c", "d"])
def test_a_data_set_assembles_from_real_files(assets: str, quality: str, tmp_path: Path) -> None:
    years = "d" if quality == "d" else "other"
    first, last = YEARS[years]
    config = DataConfig.model_validate(block("data") | {"start": first, "end": last, "directory": str(MARKET)})
    universe = members("directory", assets, quality, config)  # type: ignore[arg-type]
    found = {one.wanted.name: one for one in fetch("directory", universe, quality, config, RawStore(tmp_path))}  # type: ignore[arg-type]
    findings = [f for one in found.values() for f in validate(one.wanted.name, one.wanted.kind, one.frame)]
    assert [str(finding) for finding in findings if finding.rule.severity == "error"] == []

    prices = {name: adjust(one.frame) for name, one in found.items() if one.wanted.kind == "prices"}
    daily = pd.concat([frame.assign(asset=name) for name, frame in prices.items()], ignore_index=True)
    others = {name: (one.wanted.kind, one.frame) for name, one in found.items() if one.wanted.kind != "prices"}
    series = on_sessions(others, sessions(daily["date"].min(), daily["date"].max()))
    params = Params(quality=quality, tier="a20", timescale="daily")
    told = write_features(tmp_path / "features.parquet", daily, series, params)

    labels = pd.concat(
        [label(own.set_index("date"), "direction", 5).assign(asset=name) for name, own in prices.items()]
    )
    rows, _ = assemble(pd.read_parquet(tmp_path / "features.parquet"), labels, ENDS[years], 60)
    assert len(feature_names(rows)) == 20 + len(features_of_series(list(series), quality))  # type: ignore[arg-type]
    assert rows[feature_names(rows)].notna().all(axis=None)
    counts = rows.groupby("split").size()
    assert min(counts["train"], counts["validation"], counts["test"]) > 100
    # META and TSLA were listed when these search trends had ended: they have no day of Dd and Ed, and are named.
    left_out = {name for name, facts in told.items() if not facts["rows"]}
    assert left_out == ({"META", "TSLA"} & set(prices) if quality == "d" else set())


def block(name: str) -> dict:
    return yaml.safe_load(Path("params.yaml").read_text())[name]
