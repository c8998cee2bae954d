"""Which file of a user's folder is read for a series; VIX, economic values, sentiment, search interest; the command."""

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.sources import directory
from finscale.sources.config import DataConfig
from finscale.sources.fetch import fetch
from finscale.sources.inputs import HashMemo, inputs_of
from finscale.sources.layout import files_of
from finscale.sources.spellings import normal
from finscale.sources.store import RawStore
from finscale.sources.tables import Universe, Wanted
from finscale.sources.universes import members
from tests.unit.test_directory import put, read
from tests.unit.vendor_files import BARS, ISO, LAYOUTS, csv, excel, parquet

SPY, VIX = Wanted("SPY", "prices"), Wanted("VIX", "volatility")


@pytest.mark.parametrize(
    ("file", "symbol"),
    [
        ("^VIX.csv", "VIX"),
        ("brk.b.us.txt", "BRK-B"),
        ("BRK-B.csv", "BRK-B"),
        ("^gspc.csv", "GSPC"),
        ("SPY.US.csv", "SPY"),
    ],
)
def test_a_file_is_found_by_its_symbol_however_that_is_written(file: str, symbol: str, tmp_path: Path) -> None:
    put(tmp_path, f"ohlcv/{file}", csv(ISO))
    assert [path.name for path in files_of(str(tmp_path), Wanted(symbol, "prices"))] == [file]


def test_a_file_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    put(tmp_path, "ohlcv/IWM.csv", csv(ISO))
    with pytest.raises(InputError, match=r"expected one file for SPY, found none but IWM\.csv; name it SPY\.csv"):
        directory.fetch(str(tmp_path), SPY)
    put(tmp_path, "ohlcv/spy.csv", csv(ISO))
    put(tmp_path, "ohlcv/SPY.parquet", parquet(BARS))
    with pytest.raises(InputError, match=r"expected one file for SPY, found SPY\.parquet, spy\.csv; keep one"):
        directory.fetch(str(tmp_path), SPY)


def test_the_volatility_index_with_the_exchange_s_title_line(tmp_path: Path) -> None:
    names = ["Date", "VIX Open", "VIX High", "VIX Low", "VIX Close"]
    table = ISO.drop(columns="volume").assign(date=BARS["date"].dt.strftime("%m/%d/%Y")).set_axis(names, axis=1)
    frame, notes = read(tmp_path, "Index as of 2/28/2020,,,,\n" + csv(table), VIX, "ohlcv/VIX.csv")
    pd.testing.assert_frame_equal(frame, BARS.drop(columns="volume"))
    assert notes == []


VALUES = pd.DataFrame({"date": ISO["date"], "value": np.round(np.sin(BARS.index), 3)})


@pytest.mark.parametrize(
    ("series", "path", "content"),
    [
        (Wanted("DGS10", "economic"), "fred/DGS10.csv", csv(VALUES.set_axis(["observation_date", "DGS10"], axis=1))),
        (Wanted("DGS10", "economic"), "fred/dgs10.csv", csv(VALUES.set_axis(["DATE", "DGS10"], axis=1))),
        (Wanted("DFF", "economic"), "fred/DFF.csv", csv(VALUES.assign(realtime_start="2020-03-01"))),
        (Wanted("sentiment", "sentiment"), "sentiment/news.csv",
         csv(VALUES.set_axis(["date", "News Sentiment"], axis=1))),
        (Wanted("sentiment", "sentiment"), "sentiment/news.xlsx",
         excel(BARS[["date"]].assign(**{"News Sentiment": VALUES["value"]}))),
    ],
)  # fmt: skip
def test_values_of_fred_and_the_san_francisco_fed(
    series: Wanted, path: str, content: str | bytes, tmp_path: Path
) -> None:
    frame, _ = read(tmp_path, content, series, path)
    pd.testing.assert_frame_equal(frame, VALUES.assign(date=BARS["date"]))


@pytest.mark.parametrize("missing", [".", "", "ND", "#N/A"])
def test_a_day_without_a_value_is_missing(missing: str, tmp_path: Path) -> None:
    text = csv(
        VALUES.astype({"value": object}).assign(value=VALUES["value"].astype(object).where(VALUES.index != 5, missing))
    )
    frame, _ = read(tmp_path, text, Wanted("DGS2", "economic"), "fred/DGS2.csv")
    assert frame.index[frame["value"].isna()].tolist() == [5]


def test_several_values_without_the_series_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"DGS2\.csv: expected a date and one value, found date, a, b; name .*`DGS2`"):
        read(tmp_path, csv(VALUES.assign(a=1, b=2)[["date", "a", "b"]]), Wanted("DGS2", "economic"), "fred/DGS2.csv")


SEARCHES = Wanted("search_interest", "trends")


def google(first: str, last: str, interest: Callable[[pd.DatetimeIndex], np.ndarray], period: str = "Week") -> str:
    """Google Trends' own export: whole percents of its largest value, '<1' for less than one."""
    weeks = pd.date_range(first, last, freq="7D")
    values = interest(weeks)
    shown = np.round(values / values.max() * 100).astype(int)
    rows = "".join(f"{day:%Y-%m-%d},{value or '<1'}\n" for day, value in zip(weeks, shown, strict=True))
    return f"Category: All categories\n\n{period},stock market: (United States)\n{rows}"


def interest(weeks: pd.DatetimeIndex) -> np.ndarray:
    years = (weeks - pd.Timestamp("2000-01-02")).days / 365.25
    return 20 + years + 10 * np.sin(2 * np.pi * years) + 3 * np.sin(17 * years)


def test_google_s_own_export_is_read_week_by_week(tmp_path: Path) -> None:
    text = google("2019-06-02", "2020-03-01", lambda weeks: np.r_[0.1, interest(weeks)[1:]])
    frame, notes = read(tmp_path, text, SEARCHES, "trends/multiTimeline.csv")
    assert frame["date"].iloc[0] == pd.Timestamp("2019-06-02")
    assert (frame["week_end"] - frame["date"] == pd.Timedelta(days=6)).all()
    assert frame["value"].iloc[0] == 0.5
    assert frame["value"].max() == 100
    assert notes == ["trends/multiTimeline.csv: '<1' in 1 weeks read as 0.5"]


def test_exports_that_share_a_year_come_to_one_scale(tmp_path: Path) -> None:
    put(tmp_path, "trends/b.csv", google("2012-01-01", "2016-12-25", interest))
    put(tmp_path, "trends/a.csv", google("2016-01-03", "2020-12-27", interest))
    frame, origin, _ = directory.fetch(str(tmp_path), SEARCHES)
    ratio = frame["value"].to_numpy() / interest(pd.DatetimeIndex(frame["date"]))
    assert np.abs(ratio / np.median(ratio) - 1).max() < 0.05  # Google rounds to whole percents
    assert frame["date"].is_monotonic_increasing
    assert frame["date"].is_unique
    assert origin == "trends/a.csv, trends/b.csv"


def test_exports_that_do_not_agree_or_are_not_weekly_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "trends/a.csv", google("2012-01-01", "2016-12-25", interest))
    noise = np.random.default_rng(0)
    put(tmp_path, "trends/b.csv", google("2016-01-03", "2020-12-27", lambda weeks: noise.uniform(1, 100, len(weeks))))
    with pytest.raises(InputError, match="exports around 2016-01-03 do not agree in the 52 weeks they share"):
        directory.fetch(str(tmp_path), SEARCHES)
    put(tmp_path, "trends/b.csv", google("2016-01-03", "2020-12-27", interest, period="Month"))
    with pytest.raises(InputError, match=r"b\.csv: has a column Month; export weekly values"):
        directory.fetch(str(tmp_path), SEARCHES)


def config(root: Path) -> DataConfig:
    return DataConfig(start=date(2020, 1, 2), end=date(2020, 2, 28), directory=str(root))


def files(source: str, assets: str, quality: str, root: Path) -> list[str] | None:
    universe = members(source, assets, quality, config(root))  # type: ignore[arg-type]
    told = inputs_of(source, universe, quality, config(root), HashMemo(root / "memo.json"))  # type: ignore[arg-type]
    return None if told["files"] is None else list(told["files"])


def test_live_takes_search_interest_from_the_user_s_exports_or_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINSCALE_STORE", str(tmp_path / "store"))
    with pytest.raises(InputError, match=r"trends: no file with search interest; export .stock market. at trends"):
        directory.fetch(str(tmp_path), SEARCHES)
    assert files("live", "A", "d", tmp_path) == []
    put(tmp_path, "trends/export.csv", google("2019-06-02", "2020-03-01", interest))
    assert files("live", "A", "d", tmp_path) == ["trends/export.csv"]
    assert files("live", "A", "c", tmp_path) == []


def test_the_files_that_a_source_reads_are_its_inputs_however_they_are_named(tmp_path: Path) -> None:
    for name in ("SPY.csv", "dia.us.txt", "IWM.csv"):
        put(tmp_path, f"ohlcv/{name}", csv(ISO))
    assert files("directory", "A", "a", tmp_path) == ["ohlcv/SPY.csv"]
    assert files("directory", "B", "a", tmp_path) == ["ohlcv/SPY.csv", "ohlcv/dia.us.txt"]
    assert files("directory", "A", "a", tmp_path / "nowhere") is None


def test_notes_of_how_a_file_was_read_reach_the_manifest(tmp_path: Path) -> None:
    put(tmp_path, "ohlcv/SPY.csv", LAYOUTS["Investing.com"][1])
    (found,) = fetch("directory", Universe(symbols=("SPY",)), "a", config(tmp_path), RawStore(tmp_path))
    assert "ohlcv/SPY.csv: ignored: Change %" in found.notes
    assert found.origin == "ohlcv/SPY.csv"


def test_the_command_tells_what_each_file_is_taken_for(tmp_path: Path) -> None:
    put(tmp_path, "ohlcv/SPY.csv", LAYOUTS["Stooq"][1])
    put(tmp_path, "fred/DGS10.csv", csv(VALUES.set_axis(["DATE", "DGS10"], axis=1)))
    command = [sys.executable, "-m", "finscale.sources.directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ohlcv/SPY.csv",
        f"    text, commas, header in line 1, yyyymmdd; {len(BARS)} days, 2020-01-02 to 2020-02-28",
        "    date <- <DATE>, open <- <OPEN>, high <- <HIGH>, low <- <LOW>, close <- <CLOSE>, volume <- <VOL>",
        "    no adjusted close: the close counts as adjusted",
        "    ignored: <TICKER>, <PER>, <TIME>, <OPENINT>",
        "fred/DGS10.csv",
        f"    text, commas, header in line 1, yyyy-mm-dd; {len(BARS)} days, 2020-01-02 to 2020-02-28",
        "    date <- DATE, value <- DGS10",
    ]
    put(tmp_path, "ohlcv/DIA.csv", "<html></html>")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: " in done.stdout
    assert "a web page and not a table" in done.stdout


def test_names_are_compared_in_one_spelling() -> None:
    spelt = {"Adj. Close": "adj_close", "adjClose": "adj_close", "<DATE>": "date",
             "5. adjusted close": "adjusted_close",
             "Close/Last": "close_last", "Change %": "change", "('Close', 'SPY')": "close_spy"}  # fmt: skip
    assert {name: normal(name) for name in spelt} == spelt
