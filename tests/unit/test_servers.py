"""Yahoo's client against a server that answers like the real one, on good days and bad ones."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yfinance
from yfinance.data import YfData

from finscale.calendar import last_final_day, sessions
from finscale.errors import InputError
from finscale.sources import client, live, yahoo
from finscale.sources.config import DataConfig
from finscale.sources.fetch import fetch
from finscale.sources.store import RawStore
from finscale.sources.tables import Universe, Wanted
from tests.servers import Answer, Redirected, serve
from tests.yahoo import Market, yahoo_of

FIRST, LAST = date(2024, 1, 2), date(2024, 6, 28)
SPY = Wanted("SPY", "prices")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(client, "PACE", 0.0)


@pytest.fixture
def market(tmp_path: Path) -> Iterator[tuple[Market, list[str]]]:
    with yahoo_of(tmp_path) as running:
        yield running


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
        (lambda quote: {name: quote[name][:-20] + [None] * 20 for name in quote},
         "has no value for the session of 2024-05-31 and 19 more"),
        (lambda quote: quote | {"open": [*quote["open"][:-3], None, *quote["open"][-2:]]},
         "has no value for the session of 2024-06-26; nothing was stored"),
    ],
    ids=["empty", "changed columns", "NaN tail", "one null"],
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


GLD_AND_MORE = Universe(symbols=("GLD", "IEF", "TLT"))
CONFIG = DataConfig(start=FIRST, end=LAST, directory="")


def charts(requests: list[str]) -> list[str]:
    return [path.rpartition("/")[2] for path in requests if "/chart/" in path]


def test_a_universe_goes_on_after_too_many_requests_with_what_has_not_arrived(
    market: tuple[Market, list[str]], tmp_path: Path
) -> None:
    store, service = RawStore(tmp_path / "store"), market[0]
    service.only = {"GLD"}  # then Yahoo has had enough
    with pytest.raises(
        InputError, match=r"IEF: no answer after 5 attempts .HTTP 429.*\n1 of 3 series are there"
    ) as told:
        fetch("live", GLD_AND_MORE, "a", CONFIG, store)
    assert "TLT" not in str(told.value)  # nobody asks on where a server has had enough
    assert "TLT" not in charts(market[1])
    service.only, before = None, len(market[1])
    YfData.cache_get.cache_clear()
    found = fetch("live", GLD_AND_MORE, "a", CONFIG, store)
    assert [one.wanted.name for one in found] == ["GLD", "IEF", "TLT"]
    assert set(charts(market[1][before:])) == {"IEF", "TLT"}
    # A later end asks each for the new days.
    before = len(market[1])
    YfData.cache_get.cache_clear()
    longer = fetch("live", GLD_AND_MORE, "a", CONFIG.model_copy(update={"end": date(2024, 9, 30)}), store)
    assert [one.frame["date"].iloc[-1] for one in longer] == [pd.Timestamp("2024-09-30")] * 3
    assert sorted(charts(market[1][before:])) == ["GLD", "IEF", "TLT"]


def test_a_symbol_that_yahoo_does_not_know_stops_no_other(market: tuple[Market, list[str]], tmp_path: Path) -> None:
    market[0].unknown = {"GLD", "IEF"}
    with pytest.raises(InputError, match=r"GLD: .*No data found.*\n.*IEF: .*No data found.*\n1 of 3 series are there"):
        fetch("live", GLD_AND_MORE, "a", CONFIG, RawStore(tmp_path / "store"))
    assert RawStore(tmp_path / "store").manifest()["series"].tolist() == ["TLT"]


def test_holes_are_taken_as_they_are_but_not_among_the_newest_days(
    market: tuple[Market, list[str]], tmp_path: Path
) -> None:
    store, service = RawStore(tmp_path / "store"), market[0]
    service.change = lambda quote: {name: [*quote[name][:30], None, *quote[name][31:]] for name in quote}
    service.adjusted = lambda values: [*values[:30], None, *values[31:]]
    with pytest.raises(InputError, match="has no value for the session of 2024-02-14"):
        live.fetch(SPY, FIRST, LAST, store)
    YfData.cache_get.cache_clear()
    frame = live.fetch(SPY, FIRST, LAST, store, holes=1)[0]
    assert len(frame) == 123
    assert frame.notna().all(axis=None)
    service.change = lambda quote: {name: [*quote[name][:-3], None, *quote[name][-2:]] for name in quote}
    service.adjusted = lambda values: [*values[:-3], None, *values[-2:]]
    YfData.cache_get.cache_clear()
    with pytest.raises(InputError, match="has no value for the session of 2024-06-26; nothing was stored; try later"):
        live.fetch(Wanted("TLT", "prices"), FIRST, LAST, store, holes=1)


def test_a_provider_is_asked_at_a_steady_pace(
    market: tuple[Market, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(client, "PACE", 60.0)
    monkeypatch.setattr(client, "_asked_at", {})
    monkeypatch.setattr(client.time, "sleep", paused.append)
    store = RawStore(tmp_path / "store")
    fetch("live", GLD_AND_MORE, "a", CONFIG, store)
    assert [round(pause, -1) for pause in paused] == [60, 60]
    fetch("live", GLD_AND_MORE, "a", CONFIG, store)  # what is stored is not asked for
    assert len(paused) == 2


def test_a_revised_history_is_refused(market: tuple[Market, list[str]], tmp_path: Path) -> None:
    store = RawStore(tmp_path / "store")
    live.fetch(SPY, FIRST, LAST, store)
    market[0].close[110] *= 1.02
    YfData.cache_get.cache_clear()
    with pytest.raises(InputError, match=r"Yahoo has revised close of 2024-06-\d\d since it was stored"):
        live.fetch(SPY, FIRST, date(2024, 9, 30), store)


def test_a_missing_session_or_a_history_that_begins_late_is_refused(
    market: tuple[Market, list[str]], tmp_path: Path
) -> None:
    store, days = RawStore(tmp_path / "store"), market[0].days
    for rows, message in (
        (np.delete(np.arange(124), -3), "lacks the session of 2024-06-26; nothing was stored; try later"),
        (np.arange(60, 124), "begins on 2024-03-28, after 2024-01-02; .* set data.start to 2024-03-28"),
    ):
        market[0].days, market[0].close = days[rows], np.full(len(rows), 400.0)
        YfData.cache_get.cache_clear()
        with pytest.raises(InputError, match=f"Yahoo Finance, SPY: the answer {message}"):
            live.fetch(SPY, FIRST, LAST, store)
        assert not list(store.root.rglob("*.parquet"))


def test_a_network_fault_is_not_told_as_delisted(tmp_path: Path) -> None:
    """yfinance asks for the time zone first, where its cache has none, and calls every failure of that delisted."""
    yfinance.set_tz_cache_location(str(tmp_path / "tz"))
    with serve(lambda path, query: Answer("<html>Bad gateway</html>", 502)) as server:
        YfData().__init__(Redirected(server.url))  # type: ignore[misc]
        with pytest.raises(InputError) as told:
            yahoo.fetch("SPY", FIRST, LAST)
    YfData.cache_get.cache_clear()
    assert "Yahoo Finance, SPY: no answer after 5 attempts" in str(told.value)
    assert "delisted" not in str(told.value)


def test_an_unknown_symbol_is_told_in_yahoo_s_own_words(market: tuple[Market, list[str]]) -> None:
    error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
    market[0].chart = lambda rows: {"chart": {"result": None, "error": error}}  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r"Yahoo Finance, XYZ: .*No data found.*; check the symbol"):
        yahoo.fetch("XYZ", FIRST, LAST)


def test_a_day_ends_by_the_exchange_s_clock() -> None:
    """In Tokyo's morning of the 28th New York has not closed the 27th, and by its own evening it has."""
    assert last_final_day(pd.Timestamp("2024-06-28 05:30", tz="Asia/Tokyo")) == date(2024, 6, 26)
    assert last_final_day(pd.Timestamp("2024-06-28 10:00", tz="Asia/Tokyo")) == date(2024, 6, 27)
    assert last_final_day(pd.Timestamp("2024-06-28 15:59", tz="America/New_York")) == date(2024, 6, 27)


def test_a_day_that_has_not_passed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data.end = 2999-01-01 has not passed"):
        live.fetch(SPY, FIRST, date(2999, 1, 1), RawStore(tmp_path))
