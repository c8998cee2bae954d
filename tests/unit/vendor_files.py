"""One series of made-up bars in the layouts of many vendors; no row is copied from any of them."""

import gzip
import io

import numpy as np
import pandas as pd

from finscale.calendar import sessions

P = ["open", "high", "low", "close"]


def bars() -> pd.DataFrame:
    days = sessions(pd.Timestamp("2020-01-02"), pd.Timestamp("2020-02-28"))
    n = np.arange(len(days))
    close = np.round(1250 * np.exp(0.01 * np.sin(n)), 2)
    open_ = np.round(close * (1 + 0.002 * np.cos(n)), 2)
    volume = (1_230_000 + 10_000 * (n % 7)).astype(int)
    high, low = np.round(np.maximum(open_, close) + 3.25, 2), np.round(np.minimum(open_, close) - 3.25, 2)
    return pd.DataFrame({"date": days, "open": open_, "high": high, "low": low, "close": close, "volume": volume})


BARS = bars()
ISO = BARS.assign(date=BARS["date"].dt.strftime("%Y-%m-%d"))
ADJUSTED = np.round(BARS["close"] * np.linspace(0.8, 1.0, len(BARS)), 4)
UTC = BARS["date"].dt.tz_localize("UTC")
NEW_YORK = BARS["date"].dt.tz_localize("America/New_York")
DEUTSCH = ISO.assign(**{p: ISO[p].map("{:,.2f}".format).str.translate(str.maketrans(",.", ".,")) for p in P})


def csv(frame: pd.DataFrame, **how: object) -> str:
    return frame.to_csv(index=False, **how)


def dated(days: pd.Series) -> str:
    return csv(ISO.assign(date=days))


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def excel(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    with pd.ExcelWriter(buffer) as writer:
        pd.DataFrame({"About": ["made up"]}).to_excel(writer, sheet_name="Notes")
        frame.to_excel(writer, sheet_name="Data", index=False, startrow=2)
    return buffer.getvalue()


def capitals(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns=str.capitalize)


YFINANCE = BARS.set_index("date").rename_axis("Date").rename(columns=str.capitalize)
LEVELS = pd.MultiIndex.from_product([list(YFINANCE), ["SPY"]], names=["Price", "Ticker"])
MONEY = {p: "$" + ISO[p].astype(str) for p in P}
NASDAQ = {"date": "Date", "close": "Close/Last", "volume": "Volume", "open": "Open", "high": "High", "low": "Low"}
INVESTING = {"Date": BARS["date"].dt.strftime("%b %d, %Y"), "Price": BARS["close"].map("{:,.2f}".format),
             "Open": BARS["open"].map("{:,.2f}".format), "High": BARS["high"].map("{:,.2f}".format),
             "Low": BARS["low"].map("{:,.2f}".format), "Vol.": (BARS["volume"] / 1e6).map("{:.2f}M".format),
             "Change %": "0.10%"}  # fmt: skip
STOOQ = {"<TICKER>": "SPY.US", "<PER>": "D", "<DATE>": BARS["date"].dt.strftime("%Y%m%d"), "<TIME>": "000000",
         "<OPEN>": BARS["open"], "<HIGH>": BARS["high"], "<LOW>": BARS["low"], "<CLOSE>": BARS["close"],
         "<VOL>": BARS["volume"], "<OPENINT>": 0}  # fmt: skip
METATRADER5 = {"<DATE>": BARS["date"].dt.strftime("%Y.%m.%d"), "<OPEN>": BARS["open"], "<HIGH>": BARS["high"],
               "<LOW>": BARS["low"], "<CLOSE>": BARS["close"], "<TICKVOL>": BARS["volume"], "<SPREAD>": 2}  # fmt: skip
POLYGON = {"v": BARS["volume"], "vw": BARS["close"], "o": BARS["open"], "c": BARS["close"], "h": BARS["high"],
           "l": BARS["low"], "t": NEW_YORK.dt.as_unit("ms").astype("int64"), "n": 5}  # fmt: skip
THREE_LINES = "Price,Close,High,Low,Open,Volume\nTicker,SPY,SPY,SPY,SPY,SPY\nDate,,,,,\n"

# name of the file, its content: all hold BARS and no adjusted close
LAYOUTS: dict[str, tuple[str, str | bytes]] = {
    "plain": ("SPY.csv", csv(ISO)),
    "Yahoo classic": ("SPY.csv", csv(capitals(ISO))),
    "yfinance history": ("SPY.csv", csv(capitals(ISO.assign(date=NEW_YORK.astype(str))).assign(
        Dividends=0.0, **{"Stock Splits": 0.0}))),
    "yfinance download": ("SPY.csv",
        THREE_LINES + csv(ISO[["date", "close", "high", "low", "open", "volume"]], header=False)),
    "yfinance parquet": ("SPY.parquet", parquet(YFINANCE.set_axis(LEVELS, axis=1))),
    "dates in the index": ("SPY.parquet", parquet(BARS.set_index("date"))),
    "a zone in parquet": ("SPY.parquet", parquet(BARS.assign(date=NEW_YORK))),
    "Stooq": ("spy.us.txt", csv(pd.DataFrame(STOOQ))),
    "Alpha Vantage": ("SPY.csv", csv(ISO.iloc[::-1].rename(columns={"date": "timestamp"}))),
    "Alpha Vantage from JSON": ("SPY.csv", csv(ISO.set_axis(
        ["date", *[f"{i + 1}. {name}" for i, name in enumerate([*P, "volume"])]], axis=1))),
    "Polygon": ("SPY.csv", csv(pd.DataFrame(POLYGON))),
    "Nasdaq.com": ("SPY.csv", csv(ISO.iloc[::-1].assign(
        date=BARS["date"].dt.strftime("%m/%d/%Y"), **MONEY).rename(columns=NASDAQ))),
    "Investing.com": ("SPY.csv", ("\ufeff" + csv(pd.DataFrame(INVESTING).iloc[::-1])).encode()),
    "MetaTrader 5": ("SPY.csv", csv(pd.DataFrame(METATRADER5), sep="\t")),
    "MetaTrader 4": ("SPY.csv", csv(ISO.assign(
        date=BARS["date"].dt.strftime("%Y.%m.%d,00:00")), header=False, quoting=3, escapechar="\\").replace("\\", "")),
    "TradingView": ("SPY.csv", csv(ISO.assign(
        date=(NEW_YORK + pd.Timedelta(hours=9.5)).dt.as_unit("s").astype("int64"), MA=1.0)
        .rename(columns={"date": "time", "volume": "Volume"}))),
    "CRSP": ("SPY.csv", csv(pd.DataFrame({"PERMNO": 1, "date": BARS["date"].dt.strftime("%Y%m%d"), "PRC": BARS["close"],
        "VOL": BARS["volume"], "RET": 0.01, "OPENPRC": BARS["open"], "ASKHI": BARS["high"], "BIDLO": BARS["low"],
        "CFACPR": 1, "CFACSHR": 1}))),
    "Unix seconds": ("SPY.csv", dated(UTC.dt.as_unit("s").astype("int64"))),
    "Unix milliseconds": ("SPY.csv", dated(UTC.dt.as_unit("ms").astype("int64"))),
    "midnight in New York": ("SPY.csv", dated(NEW_YORK.dt.as_unit("s").astype("int64"))),
    "Excel's day numbers": ("SPY.csv", dated((BARS["date"] - pd.Timestamp("1899-12-30")).dt.days)),
    "midnight in UTC": ("SPY.csv", dated(BARS["date"].dt.strftime("%Y-%m-%dT00:00:00.000Z"))),
    "day first": ("SPY.csv", dated(BARS["date"].dt.strftime("%d/%m/%Y"))),
    "month first": ("SPY.csv", dated(BARS["date"].dt.strftime("%m-%d-%Y"))),
    "words": ("SPY.csv", dated(BARS["date"].dt.strftime("%d-%b-%Y"))),
    "decimal commas": ("SPY.csv", csv(ISO, sep=";", decimal=",")),
    "points for thousands": ("SPY.csv", csv(DEUTSCH, sep=";")),
    "quoted decimal commas": ("SPY.csv", csv(DEUTSCH)),
    "tabs": ("SPY.tsv", csv(ISO, sep="\t")),
    "gzip": ("SPY.csv.gz", gzip.compress(csv(ISO).encode())),
    "upper-case suffix": ("SPY.CSV", csv(ISO)),
    "lower-case ticker": ("spy.csv", csv(ISO)),
    "UTF-16": ("SPY.csv", csv(ISO).encode("utf-16")),
    "title lines": ("SPY.csv", "Made-up prices,,,,,\n\n" + csv(ISO)),
    "Excel": ("SPY.xlsx", excel(BARS)),
    "empty lines at the end": ("SPY.csv", csv(ISO) + "\n,,,,,\n"),
    "a column without a name": ("SPY.csv", "".join(f"{line},\n" for line in csv(ISO).splitlines())),
}  # fmt: skip
