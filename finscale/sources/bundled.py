"""bundled: the daily S&P 500 and NASDAQ Composite (1999-2018) that the arch package ships.

Real prices with no network and no account. Index levels: there are no splits or dividends, so
adj_close equals close. The S&P 500 stands in for SPY, the NASDAQ Composite for QQQ.
"""

import importlib
from importlib.metadata import version

import pandas as pd

ORIGIN = f"arch {version('arch')}"

_MODULES = {"SP500": "arch.data.sp500", "NASDAQ": "arch.data.nasdaq"}


def fetch(symbol: str) -> pd.DataFrame:
    """One index as published: date, open, high, low, close, adj_close, volume (shares)."""
    published = importlib.import_module(_MODULES[symbol]).load()
    frame = published.rename_axis("date").reset_index()
    return frame.rename(columns=lambda name: name.lower().replace(" ", "_"))
