"""What tests share: the real S&P 500 series, and the data set made from it."""

import os
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path

# Before NumPy is imported: its second thread waits in a loop, for which small matrices take twice the processor time.
# Two workers on two cores have none to spare.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
import pytest

from finscale.data.bars import adjust
from finscale.data.config import SplitDates
from finscale.data.dataset import assemble
from finscale.data.folds import fold_table
from finscale.data.labels import label
from finscale.data.splits import single_fold
from finscale.indicators.catalogue import compute, drop_warmup
from finscale.sources import bundled
from finscale.storage import write_csv
from tests.browser import Browser, browser, chromium

REAL = Path(__file__).parents[1] / "../shared/data/market"
ENDS = SplitDates(train_end=date(2013, 12, 31), validation_end=date(2015, 12, 31), test_end=date(2018, 12, 31))


def pytest_configure() -> None:
    """A shell that starts the tests in the background has SIGINT ignored, by them and by all that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With -n 2 --dist loadgroup a file stays with one worker, and so do files that share what is dear to prepare."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(autouse=True)
def _no_store_but_the_test_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow leaves the store it was given in the environment, for processes it may start: not for the next test."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def raw() -> pd.DataFrame:
    """S&P 500, 1999 to 2018, as published."""
    return bundled.fetch("SP500")


@pytest.fixture(scope="session")
def bars(raw: pd.DataFrame) -> pd.DataFrame:
    return adjust(raw).set_index("date")


def write_development(workspace: Path, rows: pd.DataFrame) -> None:
    """Data as the stage `dataset` leaves them for a single split: development rows, and the table of the one fold."""
    folder = workspace / "data/processed"
    folder.mkdir(parents=True)
    rows.to_parquet(folder / "development.parquet")
    write_csv(folder / "folds.csv", fold_table([single_fold(ENDS)]))


def real(symbol: str) -> pd.DataFrame:
    """Daily bars of one of the study's assets; the test is skipped where they are not at hand."""
    path = REAL / f"ohlcv/{symbol}.csv"
    if not path.exists():
        pytest.skip(f"needs the real daily bars of {symbol} at {path}")
    return pd.read_csv(path, parse_dates=["date"]).set_index("date").astype(float)


def known_series() -> pd.DataFrame:
    """Sentiment, VIX and search interest in `stocks` as known on each SPY session of 2004 to 2010.

    Lags for the tests: sentiment a week, VIX none (it closes with the session), a search week from the Monday after.
    """
    days = real("SPY")["2004-01-20":"2010-12-31"].index  # the searches begin and end with these years
    sentiment = pd.read_csv(REAL / "sentiment/sf_fed_news_sentiment_daily.csv", parse_dates=["date"]).set_index("date")
    vix = pd.read_csv(REAL / "ohlcv/VIX.csv", parse_dates=["date"]).set_index("date")["close"]
    searches = pd.read_csv(REAL / "trends/preis_moat_stanley_2013_weekly.csv", parse_dates=["Google End Date"])
    searches.index = searches["Google End Date"] + pd.Timedelta(days=2)
    columns = {
        "sentiment": sentiment["news_sentiment"].shift(7, freq="D").reindex(days, method="ffill"),
        "vix": vix.reindex(days),
        "search_interest": searches["stocks"].reindex(days, method="ffill"),
    }
    return pd.DataFrame(columns, index=days)


def rows_of(bars: pd.DataFrame, ends: SplitDates = ENDS, context_reserve: int = 128) -> pd.DataFrame:
    """Data set rows of one asset for the default task, all splits together."""
    features = drop_warmup(compute(bars, "a20"), "SP500").reset_index().assign(asset="SP500")
    labels = label(bars, "threshold_1pct", 5).assign(asset="SP500")
    return assemble(features, labels, ends, context_reserve)[0]


@pytest.fixture(scope="session")
def rows(bars: pd.DataFrame) -> pd.DataFrame:
    return rows_of(bars)


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser, for tests of what a reader sees."""
    if chromium() is None:
        pytest.skip("no Chromium in PATH: install chromium to test pages as a reader sees them")
    with browser(tmp_path_factory.mktemp("chromium") / "profile") as running:
        yield running
