"""Yahoo's chart service on this machine, as yfinance asks it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import yfinance
from yfinance.data import YfData

from finscale.calendar import sessions
from tests.servers import Answer, Redirected, as_json, serve


class Market:
    """Yahoo's chart service. Prices are of a random walk; `split` restates everything, as Yahoo does."""

    def __init__(self) -> None:
        self.days = sessions(pd.Timestamp(2024, 1, 2), pd.Timestamp(2024, 12, 31))
        self.close = 400 * np.exp(np.random.default_rng(0).normal(scale=0.01, size=len(self.days)).cumsum())
        self.split, self.bad_days, self.change = 1.0, 0, lambda quote: quote
        self.adjusted: Callable[[list], list] = lambda values: values
        self.only: set[str] | None = None  # symbols that are answered; None: all
        self.unknown: set[str] = set()
        self.traded = pd.Timestamp(2024, 12, 31)  # the last trade, by what the service says of the symbol

    def __call__(self, path: str, query: dict[str, str]) -> Answer:
        if not path.startswith("/v8/finance/chart/"):
            return Answer("crumb", headers={"Set-Cookie": "A3=d; Path=/"})
        symbol = path.rpartition("/")[2]
        if symbol in self.unknown:
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return as_json({"chart": {"result": None, "error": error}})
        if self.only is not None and symbol not in self.only:
            return Answer("Too Many Requests", status=429)
        if "period1" not in query:  # yfinance asks for the time zone first
            return as_json(self.chart(slice(0, 1)))
        if self.bad_days:
            self.bad_days -= 1
            return Answer("Too Many Requests", status=429)
        stamps = (self.days + pd.Timedelta(hours=14, minutes=30)).as_unit("s").asi8
        inside = (stamps >= int(query["period1"])) & (stamps < int(query["period2"]))
        return as_json(self.chart(np.flatnonzero(inside)))

    def chart(self, rows: object) -> dict:
        close = self.close[rows] / self.split
        quote = {"open": close - 1, "high": close + 2, "low": close - 2, "close": close,
                 "volume": np.full(len(close), 1e6) * self.split}  # fmt: skip
        stamps = (self.days[rows] + pd.Timedelta(hours=14, minutes=30)).as_unit("s").asi8
        closed = int((self.traded + pd.Timedelta(hours=21)).timestamp())
        meta = {"currency": "USD", "symbol": "SPY", "exchangeName": "PCX", "instrumentType": "ETF",
                "firstTradeDate": 728317800, "gmtoffset": -18000, "timezone": "EST", "priceHint": 2,
                "exchangeTimezoneName": "America/New_York", "dataGranularity": "1d", "range": "",
                "validRanges": ["1d", "max"], "regularMarketPrice": 1.0, "regularMarketTime": closed}  # fmt: skip
        lists = self.change({name: values.tolist() for name, values in quote.items()})
        return {"chart": {"error": None, "result": [{
            "meta": meta, "timestamp": stamps.tolist(),
            "indicators": {"quote": [lists], "adjclose": [{"adjclose": self.adjusted((close * 0.98).tolist())}]},
        }]}}  # fmt: skip


@contextmanager
def yahoo_of(folder: Path) -> Iterator[tuple[Market, list[str]]]:
    """The service and the paths that it was asked for; yfinance keeps its cache in the folder."""
    service = Market()
    yfinance.set_tz_cache_location(str(folder / "tz"))
    with serve(service) as server:
        YfData().__init__(Redirected(server.url))  # type: ignore[misc]
        yield service, server.requests
    YfData.cache_get.cache_clear()
