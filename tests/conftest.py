"""What tests share: the real S&P 500 series, and the data set made from it."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from finscale.bars import adjust
from finscale.dataset import assemble
from finscale.indicators.catalogue import compute, drop_warmup
from finscale.labels import label
from finscale.sources import bundled
from finscale.splits import SplitDates

REAL = Path(__file__).parents[1] / "../shared/data/market"
ENDS = SplitDates(train_end=date(2013, 12, 31), validation_end=date(2015, 12, 31), test_end=date(2018, 12, 31))


@pytest.fixture(scope="session")
def raw() -> pd.DataFrame:
    """S&P 500, 1999 to 2018, as published."""
    return bundled.fetch("SP500")


@pytest.fixture(scope="session")
def bars(raw: pd.DataFrame) -> pd.DataFrame:
    return adjust(raw).set_index("date")


def real(symbol: str) -> pd.DataFrame:
    """Daily bars of one of the study's assets; the test is skipped where they are not at hand."""
    path = REAL / f"ohlcv/{symbol}.csv"
    if not path.exists():
        pytest.skip(f"needs the real daily bars of {symbol} at {path}")
    return pd.read_csv(path, parse_dates=["date"]).set_index("date").astype(float)


def rows_of(bars: pd.DataFrame, ends: SplitDates = ENDS, context_reserve: int = 128) -> pd.DataFrame:
    """Data set rows of one asset for the default task, all splits together."""
    features = drop_warmup(compute(bars, "a20"), "SP500").reset_index().assign(asset="SP500")
    labels = label(bars, "threshold_1pct", 5).assign(asset="SP500")
    return assemble(features, labels, ends, context_reserve)[0]


@pytest.fixture(scope="session")
def rows(bars: pd.DataFrame) -> pd.DataFrame:
    return rows_of(bars)
