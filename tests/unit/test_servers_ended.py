"""A symbol that is no longer traded, from a server that says since when: it ends early, and no fault passes for it."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from yfinance.data import YfData

from finscale.calendar import last_final_day, sessions
from finscale.data.agreement import validate_together
from finscale.errors import InputError
from finscale.sources import client, live
from finscale.sources.config import DataConfig
from finscale.sources.fetch import fetch
from finscale.sources.store import RawStore
from finscale.sources.tables import Universe, Wanted
from tests.yahoo import Market, yahoo_of

FIRST, LAST = date(2024, 1, 2), date(2024, 6, 28)
GONE = Wanted("GONE", "prices")
ENDED = pd.Timestamp("2024-03-14")


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Market, list[str]]]:
    monkeypatch.setattr(client, "LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(client, "PACE", 0.0)
    with yahoo_of(tmp_path) as running:
        yield running


def end(service: Market, day: pd.Timestamp = ENDED) -> None:
    """No bar after the day, which the service dates the last trade to."""
    service.days = service.days[service.days <= day]
    service.close, service.traded = service.close[: len(service.days)], day


def test_a_symbol_that_ended_is_read_to_its_end_with_a_warning(
    market: tuple[Market, list[str]], tmp_path: Path
) -> None:
    end(market[0])
    frame, _, notes = live.fetch(GONE, FIRST, LAST, RawStore(tmp_path / "store"))
    assert frame["date"].tolist() == sessions(pd.Timestamp(FIRST), ENDED).tolist()
    assert notes == ["warning: it has ended; Yahoo dates its last trade on the last of these days"]
    # Of days before its end nothing is to be warned of.
    assert live.fetch(GONE, FIRST, date(2024, 2, 29), RawStore(tmp_path / "store"))[2] == []


def test_a_universe_with_a_symbol_that_ended_passes_and_its_report_says_when(
    market: tuple[Market, list[str]], tmp_path: Path
) -> None:
    store, config = RawStore(tmp_path / "store"), DataConfig(start=FIRST, end=LAST, directory="")
    lives = fetch("live", Universe(symbols=("SPY",)), "a", config, store)
    end(market[0])
    YfData.cache_get.cache_clear()
    found = fetch("live", Universe(symbols=("GONE", "SPY")), "a", config, store)
    assert [one.frame["date"].iloc[-1] for one in found] == [ENDED, pd.Timestamp(LAST)]
    pd.testing.assert_frame_equal(found[1].frame, lives[0].frame)
    told = validate_together({one.wanted.name: ("prices", one.frame) for one in found})
    assert [(one.series, one.rule.severity, one.where) for one in told if one.rule.name.startswith("ends")] == [
        ("GONE", "warning", ["2024-03-14, prices 2024-06-28"])
    ]


def test_a_later_end_of_the_data_asks_from_the_symbol_s_end_and_adds_nothing(
    market: tuple[Market, list[str]], tmp_path: Path
) -> None:
    store = RawStore(tmp_path / "store")
    end(market[0])
    before = live.fetch(GONE, FIRST, LAST, store)[0]
    YfData.cache_get.cache_clear()
    after, _, notes = live.fetch(GONE, FIRST, date(2024, 11, 29), store)
    pd.testing.assert_frame_equal(after, before, check_dtype=False)
    assert len(notes) == 1
    assert store.manifest()["first"].tolist() == ["2024-01-02", "2024-02-13"]


def test_empty_days_after_the_last_trade_are_no_bars(market: tuple[Market, list[str]], tmp_path: Path) -> None:
    market[0].traded = ENDED
    traded = int((market[0].days <= ENDED).sum())
    market[0].change = lambda quote: {
        name: values[:traded] + [None] * len(values[traded:]) for name, values in quote.items()
    }
    market[0].adjusted = lambda values: values[:traded] + [None] * len(values[traded:])
    frame = live.fetch(GONE, FIRST, LAST, RawStore(tmp_path / "store"))[0]
    assert frame["date"].iloc[-1] == ENDED
    assert frame.notna().all(axis=None)


def last_month() -> pd.Timestamp:
    """A trade of 34 days ago: a halt may last as long."""
    return pd.Timestamp(last_final_day()) - pd.Timedelta(days=34)


@pytest.mark.parametrize(
    ("traded", "message"),
    [
        (pd.Timestamp("2024-12-31"), "the answer ends on 2024-03-14, before 2024-06-28"),
        (pd.Timestamp("2024-03-15"), "the answer ends on 2024-03-14, before 2024-03-15"),
        (pd.Timestamp("2024-03-13"), "the answer ends on 2024-03-14, before 2024-06-28"),
        (last_month(), "the answer ends on 2024-03-14, before 2024-06-28"),
    ],
    ids=["traded since", "a day short of the end", "a bar after the last trade", "perhaps halted"],
)
def test_an_answer_that_is_not_whole_to_the_last_trade_is_refused(
    traded: pd.Timestamp, message: str, market: tuple[Market, list[str]], tmp_path: Path
) -> None:
    end(market[0])
    market[0].traded = traded
    with pytest.raises(InputError, match=f"Yahoo Finance, GONE: {message}; nothing was stored; try later"):
        live.fetch(GONE, FIRST, LAST, RawStore(tmp_path / "store"))
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_a_symbol_that_ended_may_lack_no_session_before_its_end(
    market: tuple[Market, list[str]], tmp_path: Path
) -> None:
    end(market[0])
    rows = np.delete(np.arange(len(market[0].days)), 20)
    market[0].days, market[0].close = market[0].days[rows], market[0].close[rows]
    with pytest.raises(InputError, match="lacks the session of 2024-01-31; nothing was stored"):
        live.fetch(GONE, FIRST, LAST, RawStore(tmp_path / "store"))
