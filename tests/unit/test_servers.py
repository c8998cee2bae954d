"""Each client library against a server that answers like the real one, on good days and bad ones."""

import io
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yfinance
from fredapi import Fred
from yfinance.data import YfData

from finscale.calendar import sessions
from finscale.errors import InputError
from finscale.sources import fred, live, news_sentiment, retrying, yahoo
from finscale.sources.store import RawStore
from finscale.sources.tables import Wanted
from tests.servers import Answer, Redirected, as_json, serve

FIRST, LAST = date(2024, 1, 2), date(2024, 6, 28)
SPY = Wanted("SPY", "prices")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PAUSE", 0.0)


class Market:
    """Yahoo's chart service. Prices are of a random walk; `split` restates everything, as Yahoo does."""

    def __init__(self) -> None:
        self.days = sessions(pd.Timestamp(2024, 1, 2), pd.Timestamp(2024, 12, 31))
        self.close = 400 * np.exp(np.random.default_rng(0).normal(scale=0.01, size=len(self.days)).cumsum())
        self.split, self.bad_days, self.change = 1.0, 0, lambda quote: quote

    def __call__(self, path: str, query: dict[str, str]) -> Answer:
        if not path.startswith("/v8/finance/chart/"):
            return Answer("crumb", headers={"Set-Cookie": "A3=d; Path=/"})
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
        meta = {"currency": "USD", "symbol": "SPY", "exchangeName": "PCX", "instrumentType": "ETF",
                "firstTradeDate": 728317800, "gmtoffset": -18000, "timezone": "EST", "priceHint": 2,
                "exchangeTimezoneName": "America/New_York", "dataGranularity": "1d", "range": "",
                "validRanges": ["1d", "max"], "regularMarketPrice": 1.0, "regularMarketTime": 1735678800}  # fmt: skip
        lists = self.change({name: values.tolist() for name, values in quote.items()})
        return {"chart": {"error": None, "result": [{
            "meta": meta, "timestamp": stamps.tolist(),
            "indicators": {"quote": [lists], "adjclose": [{"adjclose": (close * 0.98).tolist()}]},
        }]}}  # fmt: skip


@pytest.fixture
def market(tmp_path: Path) -> Iterator[tuple[Market, list[str]]]:
    service = Market()
    yfinance.set_tz_cache_location(str(tmp_path / "tz"))
    with serve(service) as server:
        YfData().__init__(Redirected(server.url))  # type: ignore[misc]
        yield service, server.requests
    YfData.cache_get.cache_clear()


def test_yahoo_gives_prices_as_traded_and_the_adjusted_close(market: tuple[Market, list[str]]) -> None:
    frame = yahoo.fetch("SPY", FIRST, LAST)
    assert frame["date"].tolist() == sessions(pd.Timestamp(FIRST), pd.Timestamp(LAST)).tolist()
    np.testing.assert_allclose(frame["close"], market[0].close[: len(frame)])
    np.testing.assert_allclose(frame["adj_close"], frame["close"] * 0.98)


def test_yahoo_is_asked_again_after_too_many_requests(market: tuple[Market, list[str]]) -> None:
    market[0].bad_days = 2
    assert len(yahoo.fetch("SPY", FIRST, LAST)) == 124


def test_yahoo_that_never_answers_is_named_and_nothing_is_stored(
    market: tuple[Market, list[str]], tmp_path: Path
) -> None:
    market[0].bad_days = 99
    with pytest.raises(InputError, match=r"Yahoo Finance, SPY: no answer after 5 attempts .* nothing was stored"):
        live.fetch(SPY, FIRST, LAST, RawStore(tmp_path / "store"))
    assert not list((tmp_path / "store").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda quote: {name: [] for name in quote}, "Yahoo Finance, SPY: .* nothing was stored"),
        (lambda quote: {name: quote[name] for name in quote if name != "volume"}, "has another shape than it used to"),
        (lambda quote: {name: quote[name][:-20] + [None] * 20 for name in quote}, "ends on 2024-05-30, before"),
    ],
    ids=["empty", "changed columns", "NaN tail"],
)  # fmt: skip
def test_a_broken_answer_of_yahoo_is_refused(
    change: Callable[[dict], dict], message: str, market: tuple[Market, list[str]], tmp_path: Path
) -> None:
    market[0].change = change
    with pytest.raises(InputError, match=message):
        live.fetch(SPY, FIRST, LAST, RawStore(tmp_path / "store"))
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_a_series_is_downloaded_once(market: tuple[Market, list[str]], tmp_path: Path) -> None:
    store = RawStore(tmp_path / "store")
    first = live.fetch(SPY, FIRST, LAST, store)[0]
    asked = len(market[1])
    pd.testing.assert_frame_equal(live.fetch(SPY, FIRST, LAST, store)[0], first)
    pd.testing.assert_frame_equal(live.fetch(SPY, FIRST, date(2024, 5, 31), store)[0], first)
    assert len(market[1]) == asked
    assert store.manifest()["rows"].tolist() == [124]


def test_a_split_between_two_downloads_is_undone_and_the_stored_file_stays(
    market: tuple[Market, list[str]], tmp_path: Path
) -> None:
    store = RawStore(tmp_path / "store")
    live.fetch(SPY, FIRST, LAST, store)
    stored = {path: path.read_bytes() for path in store.root.rglob("*.parquet")}
    market[0].split = 4.0
    YfData.cache_get.cache_clear()
    frame, _, notes = live.fetch(SPY, FIRST, date(2024, 9, 30), store)
    np.testing.assert_allclose(frame["close"], market[0].close[: len(frame)] / 4)
    np.testing.assert_allclose(frame["volume"], 4e6)
    assert frame["date"].is_unique
    assert notes == ["SPY: prices before 2024-05-29 restated by 0.25 (split)"]
    assert all(path.read_bytes() == content for path, content in stored.items())
    # The shorter range still gives what it gave before.
    np.testing.assert_allclose(live.fetch(SPY, FIRST, LAST, store)[0]["close"], market[0].close[:124])


def test_a_revised_history_is_refused(market: tuple[Market, list[str]], tmp_path: Path) -> None:
    store = RawStore(tmp_path / "store")
    live.fetch(SPY, FIRST, LAST, store)
    market[0].close[110] *= 1.02
    YfData.cache_get.cache_clear()
    with pytest.raises(InputError, match=r"Yahoo has revised close of 2024-06-\d\d since it was stored"):
        live.fetch(SPY, FIRST, date(2024, 9, 30), store)


def test_a_day_that_has_not_passed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data.end = 2999-01-01 has not passed"):
        live.fetch(SPY, FIRST, date(2999, 1, 1), RawStore(tmp_path))


def observations(path: str, query: dict[str, str]) -> Answer:
    if query["api_key"] != "k" * 32:
        return Answer(
            '<error code="400" message="Bad Request.  The value for variable api_key is not registered."/>', 400
        )
    if query["series_id"] == "NONE":
        return Answer('<error code="400" message="Bad Request.  The series does not exist."/>', 400)
    rows = "".join(
        f'<observation date="{day:%Y-%m-%d}" value="{"." if i % 7 == 0 else 4 + i / 100}"/>'
        for i, day in enumerate(pd.date_range(query["observation_start"], query["observation_end"]))
    )
    return Answer(f'<?xml version="1.0" encoding="utf-8" ?><observations units="lin">{rows}</observations>')


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRED_API_KEY", "k" * 32)


def test_fred_s_empty_days_are_left_out(monkeypatch: pytest.MonkeyPatch, key: None) -> None:
    with serve(observations) as server:
        monkeypatch.setattr(Fred, "root_url", server.url)
        frame = fred.fetch("DGS10", date(2024, 1, 1), date(2024, 1, 14))
    assert frame["date"].dt.day.tolist() == [2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14]
    assert frame["value"].iloc[0] == 4.01


def test_fred_s_faults_are_retried(monkeypatch: pytest.MonkeyPatch, key: None) -> None:
    bad = [Answer("<html>Service Unavailable", 503), Answer('<error code="429" message="Too Many Requests."/>', 429)]
    with serve(lambda path, query: bad.pop() if bad else observations(path, query)) as server:
        monkeypatch.setattr(Fred, "root_url", server.url)
        assert len(fred.fetch("DGS10", date(2024, 1, 1), date(2024, 1, 7))) == 6
        assert len(server.requests) == 3


def test_fred_without_a_key_says_where_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRED_API_KEY", raising=False)
    with pytest.raises(InputError, match=r"FRED_API_KEY is not set; a key is free at https://fred.stlouisfed.org"):
        fred.fetch("DGS10", FIRST, LAST)


@pytest.mark.parametrize(
    ("name", "message"), [("NONE", "series does not exist"), ("DGS10", "api_key is not registered")]
)
def test_fred_s_own_words_are_passed_on(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRED_API_KEY", "k" * 32 if name == "NONE" else "wrong")
    with serve(observations) as server:
        monkeypatch.setattr(Fred, "root_url", server.url)
        with pytest.raises(InputError, match=message):
            fred.fetch(name, FIRST, LAST)


def test_fred_s_revisions_do_not_change_what_was_known_first(
    monkeypatch: pytest.MonkeyPatch, key: None, tmp_path: Path
) -> None:
    store, rate = RawStore(tmp_path), Wanted("DGS10", "economic")
    with serve(observations) as server:
        monkeypatch.setattr(Fred, "root_url", server.url)
        before = live.fetch(rate, FIRST, LAST, store)[0]
        after = live.fetch(rate, FIRST, date(2024, 8, 30), store)[0]  # this server restates the month they share
    pd.testing.assert_frame_equal(after.iloc[: len(before)], before)
    assert after["date"].max() == pd.Timestamp(2024, 8, 30)
    assert after["date"].is_unique


def spreadsheet(columns: tuple[str, str] = ("date", "News Sentiment")) -> bytes:
    days = pd.date_range("2024-01-01", "2024-06-30")
    content = io.BytesIO()
    with pd.ExcelWriter(content) as writer:
        pd.DataFrame({"Notes": ["The series is re-estimated at each release."]}).to_excel(writer, sheet_name="Notes")
        table = pd.DataFrame({columns[0]: days, columns[1]: np.linspace(-0.2, 0.2, len(days))})
        table.to_excel(writer, sheet_name="Data", index=False)
    return content.getvalue()


def sentiment(content: bytes) -> Answer:
    return Answer(content, headers={"Last-Modified": "Mon, 01 Jul 2024 16:00:00 GMT"})


def test_the_sentiment_spreadsheet_keeps_its_vintage(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda path, query: sentiment(spreadsheet())) as server:
        monkeypatch.setattr(news_sentiment, "URL", server.url)
        frame = news_sentiment.fetch(FIRST, LAST)
    assert len(frame) == 179
    assert news_sentiment.notes(frame) == [
        "SF Fed news sentiment: release of Mon, 01 Jul 2024 16:00:00 GMT, which re-estimates the past"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (spreadsheet()[:4000], "the spreadsheet is damaged"),
        (spreadsheet(("date", "Index")), "the bank has changed the file"),
    ],
    ids=["truncated", "changed columns"],
)
def test_a_broken_spreadsheet_is_refused(content: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda path, query: sentiment(content)) as server:
        monkeypatch.setattr(news_sentiment, "URL", server.url)
        with pytest.raises(InputError, match=message):
            news_sentiment.fetch(FIRST, LAST)
