"""A user's own files, as vendors write them: each layout must come out as the same bars, or as one clear error.

The bars are made up; no row is copied from a vendor.
"""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.calendar import sessions
from finscale.errors import InputError
from finscale.sources import directory
from finscale.sources.tables import Wanted
from tests.unit.vendor_files import ADJUSTED, BARS, ISO, LAYOUTS, NEW_YORK, THREE_LINES, P, csv, parquet

SPY = Wanted("SPY", "prices")


def put(root: Path, path: str, content: str | bytes) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def read(
    root: Path, content: str | bytes, series: Wanted = SPY, path: str = "ohlcv/SPY.csv"
) -> tuple[pd.DataFrame, list[str]]:
    put(root, path, content)
    frame, _, notes = directory.fetch(str(root), series)
    return frame, notes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_vendor_s_layout_comes_out_as_the_same_bars(layout: str, tmp_path: Path) -> None:
    name, content = LAYOUTS[layout]
    frame, notes = read(tmp_path, content, path=f"ohlcv/{name}")
    pd.testing.assert_frame_equal(frame[list(BARS)], BARS.astype({"volume": float}), check_exact=True)
    assert (frame["adj_close"] == frame["close"]).all()
    assert f"ohlcv/{name}: no adjusted close: the close counts as adjusted" in notes or layout == "CRSP"


TOLD = {"Ex-Dividend": 0.0, "Adj. Open": 1.0, "Adj. High": 1.0, "Adj. Low": 1.0}
ADJUSTING = {
    "Tiingo": {"adjClose": ADJUSTED, "adjHigh": 1.0, "adjLow": 1.0, "adjOpen": 1.0, "adjVolume": BARS["volume"],
               "divCash": 0.0, "splitFactor": 1.0},
    "Alpha Vantage": {"adjusted_close": ADJUSTED, "dividend_amount": 0.0, "split_coefficient": 1.0},
    "Quandl/WIKI": {"Split Ratio": 1.0, "Adj. Close": ADJUSTED, "Adj. Volume": BARS["volume"]} | TOLD,
    "EODHD": {"Adjusted_close": ADJUSTED},
    "Nasdaq Data Link": {"closeadj": ADJUSTED, "closeunadj": BARS["close"], "lastupdated": "2020-03-01"},
    "Yahoo": {"Adj Close": ADJUSTED},
    "CRSP": {"CFACPR": BARS["close"] / ADJUSTED},
}  # fmt: skip


@pytest.mark.parametrize("vendor", ADJUSTING)
def test_an_adjusted_close_under_any_vendor_s_name_is_the_adjusted_close(vendor: str, tmp_path: Path) -> None:
    frame, _ = read(tmp_path, csv(ISO.assign(**ADJUSTING[vendor])))
    np.testing.assert_allclose(frame["adj_close"], ADJUSTED)
    np.testing.assert_allclose(frame["volume"], BARS["volume"])


@pytest.mark.parametrize(
    ("columns", "where"),
    [({"splitFactor": 1.0}, "splitFactor"), ({"adjHigh": 1.0}, "adjHigh"), ({"Dividend": 0.0}, "Dividend"),
     ({"adj_close": 1.0, "my factor": 1.0}, "my factor")],
)  # fmt: skip
def test_a_column_that_smells_of_adjustment_and_is_not_understood_is_an_error(
    columns: dict[str, float], where: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"SPY\.csv: .*'{where}' .*adj_close"):
        read(tmp_path, csv(ISO.assign(**columns)))


def test_volume_in_the_shares_of_the_day_is_brought_to_those_of_today(tmp_path: Path) -> None:
    """A 7 for 1 split: the vendor gives prices and volume as traded, and its ratio on the day that it took effect."""
    day = 20
    before = np.arange(len(ISO)) < day
    traded = ISO.assign(**{p: ISO[p] * np.where(before, 7, 1) for p in P}, adjusted_close=ISO["close"],
                        volume=ISO["volume"] / np.where(before, 7, 1),
                        split_coefficient=np.where(np.arange(len(ISO)) == day, 7.0, 1.0))  # fmt: skip
    for content in (csv(traded), csv(traded.iloc[::-1])):
        frame, notes = read(tmp_path, content)
        np.testing.assert_allclose(frame["volume"], ISO["volume"])
        assert any("volume in the shares after all splits" in note for note in notes)


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    _, notes = read(tmp_path, LAYOUTS["Investing.com"][1])
    assert "ohlcv/SPY.csv: ignored: Change %" in notes
    assert "ohlcv/SPY.csv: newest first: turned round" in notes


def cell(row: int, column: str, value: object) -> str:
    return csv(
        ISO.astype({column: object}).assign(**{column: ISO[column].astype(object).where(ISO.index != row, value)})
    )


AMBIGUOUS = sessions(pd.Timestamp("2020-01-02"), pd.Timestamp("2020-01-10"))
FAULTY = {
    "a word in a price": (cell(3, "high", "n.a."), r"row 5, column high: 'n\.a\.' is no number; correct the cell"),
    "a blank date": (cell(3, "date", ""), r"row 5, column date: '' is no date; write it as 2024-12-31"),
    "an impossible date": (cell(3, "date", "2020-13-45"), r"row 5, column date: '2020-13-45' is no date"),
    "a date in another way": (cell(3, "date", "7 Jan 2020"), r"row 5, column date: '7 Jan 2020' is no date that"),
    "a time of day": (csv(ISO.assign(date=ISO["date"] + " 06:00:00")),
        "row 2, column date: .* has a time of day and no zone"),
    "day or month": (csv(ISO[:7].assign(date=AMBIGUOUS.strftime("%d/%m/%Y"))),
        "row 2, column date: '02/01/2020' may be day/month"),
    "day and month": (cell(3, "date", "x").replace("2020-01-02", "02/13/2020").replace("2020-01-03", "13/02/2020"),
        "is no date"),
    "a number for a date": (csv(ISO.assign(date=range(len(ISO)))), "row 2, column date: '0' is a number and no date"),
    "months": (csv(ISO.assign(date=ISO["date"].str[:7])), "column date has months; download daily"),
    "header only": (csv(ISO[:0]), "a header and no row below it; download it again"),
    "empty": ("", "the file is empty"),
    "a page": ("<!DOCTYPE html>\n<html><body>wait, then, try</body></html>", "a web page and not a table; download"),
    "no header": (csv(ISO, header=False),
        "no line names a column of dates; the first is '2020-01-02,.*name that column `date`"),
    "two closes": (csv(ISO.assign(Close=1.0)), "columns 'close' and 'Close' are both close; remove one"),
    "no volume": (csv(ISO.drop(columns="volume")),
        "no column for volume among date, open, high, low, close; name it so"),
    "more cells than names": (csv(ISO).replace("2020-01-06", "2020-01-06,1,2"), "line 4 has 8 cells and not 6"),
    "a quote of CRSP": (cell(3, "close", -50.0), "row 5: a negative price; so CRSP marks a quote"),
    "half a zone": (csv(ISO.assign(date=[ISO["date"][0] + " 00:00", *NEW_YORK.astype(str)[1:]])),
        "row 2, .* has no time zone"),
    "times": (csv(ISO.assign(time=[f"09:{i:02d}" for i in range(len(ISO))])), "column time has times of day"),
    "damaged parquet": (parquet(BARS)[:500], "cannot be read: .*; download it again"),
    "damaged gzip": (gzip.compress(csv(ISO).encode())[:80], "cannot be read: .*; download it again"),
    "two symbols": (THREE_LINES.replace("SPY,SPY,SPY,SPY,SPY", "SPY,SPY,DIA,SPY,SPY") + csv(ISO, header=False),
        "holds 2 symbols, DIA, SPY"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), FAULTY.values(), ids=FAULTY)
def test_an_error_names_the_file_the_row_the_column_and_the_remedy(
    content: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"ohlcv/SPY\.csv:? .*{message}"):
        read(tmp_path, content)
