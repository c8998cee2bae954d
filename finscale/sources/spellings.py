"""How vendors spell the columns of daily bars: data, no code. Names are compared as `normal` makes them.

To read another vendor's files, add its spelling to the role that it plays.
"""

import re

# role: spellings; for `date` the first that a file has is taken
DATE = (
    "date", "observation_date", "trade_date", "week", "google_start_date", "day", "caldt", "dlycaldt", "timestamp",
    "datetime", "window_start", "time", "t", "price_date", "start_date",
    "month",  # known, to say that months are no days
)  # fmt: skip
WEEK_END = ("week_end", "google_end_date", "end_date")
BARS: dict[str, tuple[str, ...]] = {
    "open": ("open", "o", "openprc", "dlyopen", "open_price", "opening_price"),
    "high": ("high", "h", "askhi", "dlyhigh", "high_price", "max"),
    "low": ("low", "l", "bidlo", "dlylow", "low_price", "min"),
    "close": ("close", "c", "close_last", "last", "price", "prc", "dlyclose", "close_price", "closing_price", "settle"),
    "volume": ("volume", "vol", "v", "dlyvol", "shares_traded", "share_volume"),
    "tick_volume": ("tickvol", "tick_volume"),  # MetaTrader: price changes, where there is no volume
    "adj_close": ("adj_close", "adjusted_close", "closeadj", "adj_close_price", "adjclose", "adjustedclose"),
    "adj_volume": ("adj_volume", "adjusted_volume", "volumeadj", "adjvolume"),
    "split_ratio": ("split_ratio", "split_coefficient", "split_factor", "splitfactor"),  # new shares for an old one
    "price_divisor": ("cfacpr",),  # CRSP: adjusted price = price / cfacpr
    "volume_factor": ("cfacshr",),  # CRSP: adjusted volume = volume * cfacshr
}  # fmt: skip

# Columns that tell of adjustments and are left out knowingly. `needs` is what says the same.
LEFT_OUT: dict[str, tuple[str | None, str]] = {
    # name: (column that must be there, why it can be left out)
    "adj_open": ("adj_close", "adj_close / close says the same"),
    "adj_high": ("adj_close", "adj_close / close says the same"),
    "adj_low": ("adj_close", "adj_close / close says the same"),
    "adjopen": ("adj_close", "adj_close / close says the same"),
    "adjhigh": ("adj_close", "adj_close / close says the same"),
    "adjlow": ("adj_close", "adj_close / close says the same"),
    "adj_factor": ("adj_close", "adj_close / close says the same"),
    "div_cash": ("adj_close", "adj_close has the dividends in"),
    "divcash": ("adj_close", "adj_close has the dividends in"),
    "ex_dividend": ("adj_close", "adj_close has the dividends in"),
    "dividend_amount": ("adj_close", "adj_close has the dividends in"),
    "dividend": ("adj_close", "adj_close has the dividends in"),
    "closeunadj": ("adj_close", "adj_close starts from the close adjusted for splits"),
    "dividends": (None, "yfinance: the prices are adjusted, or adj_close stands beside them"),
    "stock_splits": (None, "yfinance: the prices are adjusted for splits"),
    "capital_gains": (None, "yfinance: the prices are adjusted, or adj_close stands beside them"),
}  # fmt: skip
SMELL = re.compile(
    r"adj|split|div|factor|cfac"
)  # such a name tells of adjustments: understood, left out knowingly, or refused

VALUE = ("value", "news_sentiment", "sentiment", "interest")
MISSING = frozenset({"", ".", "-", "nan", "null", "none", "na", "n/a", "#n/a", "nd"})  # FRED: '.'; H.15: ND


def normal(name: object) -> str:
    """'Adj. Close', 'adjClose' -> 'adj_close'; '<DATE>' -> 'date'; '5. adjusted close' -> 'adjusted_close'."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name).strip())
    return re.sub(r"^\d+_(?=[a-z])", "", re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_"))
