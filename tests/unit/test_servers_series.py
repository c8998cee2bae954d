"""FRED and the news sentiment of a bank against a server that answers like theirs, on good days and bad ones."""

import io
import json
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.sources import client, fred, live, news_sentiment
from finscale.sources.store import RawStore
from finscale.sources.tables import Wanted
from tests.servers import Answer, Service, as_json, serve

FIRST, LAST = date(2024, 1, 2), date(2024, 6, 28)
KEY = "k" * 32


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(client, "PACE", 0.0)


def fault(message: str, status: int = 400) -> Answer:
    return Answer(json.dumps({"error_code": status, "error_message": message}), status)


def observations(path: str, query: dict[str, str]) -> Answer:
    """FRED: what it holds of a series, and its observations; every seventh day is without a value."""
    if query["api_key"] != KEY:
        return fault("Bad Request.  The value for variable api_key is not registered.")
    if query["series_id"] == "NONE":
        return fault("Bad Request.  The series does not exist.")
    if path == "/series":
        return as_json({"seriess": [{"observation_start": "1962-01-02", "observation_end": "2025-12-31"}]})
    days = pd.date_range(query["observation_start"], query["observation_end"])
    return listed(
        [{"date": f"{day:%Y-%m-%d}", "value": "." if i % 7 == 0 else f"{4 + i / 100}"} for i, day in enumerate(days)]
    )


def listed(rows: list[dict[str, str]]) -> Answer:
    return as_json({"count": len(rows), "offset": 0, "limit": 100000, "observations": rows})


def answering(change: Callable[[list[dict[str, str]]], list[dict[str, str]]]) -> Service:
    """FRED with other observations."""

    def service(path: str, query: dict[str, str]) -> Answer:
        answer = observations(path, query)
        return answer if path == "/series" else listed(change(json.loads(answer.body)["observations"]))

    return service


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRED_API_KEY", KEY)


def test_fred_s_empty_days_are_left_out(monkeypatch: pytest.MonkeyPatch, key: None) -> None:
    with serve(observations) as server:
        monkeypatch.setattr(fred, "URL", server.url)
        frame = fred.fetch("DGS10", date(2024, 1, 1), date(2024, 1, 14))
    assert frame["date"].dt.day.tolist() == [2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14]
    assert frame["value"].iloc[0] == 4.01


def test_fred_s_faults_are_retried(monkeypatch: pytest.MonkeyPatch, key: None) -> None:
    bad = [Answer("<html>Service Unavailable", 503), fault("Too Many Requests.", 429)]
    with serve(lambda path, query: bad.pop() if bad else observations(path, query)) as server:
        monkeypatch.setattr(fred, "URL", server.url)
        assert len(fred.fetch("DGS10", date(2024, 1, 1), date(2024, 1, 7))) == 6
        assert len(server.requests) == 4  # two bad answers, what FRED holds, the observations


FAULTS = {
    "inf": (lambda rows: [*rows[:-1], rows[-1] | {"value": "inf"}], "a number that is not finite: 2024-06-28, inf"),
    "words": (lambda rows: [*rows[:-1], rows[-1] | {"value": "n/a"}], "n/a is no number"),
    "a day twice": (lambda rows: [*rows, rows[-1]], "a day twice: 2024-06-28"),
    "not in order": (lambda rows: [rows[1], rows[0], *rows[2:]], "days that are not in order: 2024-01-02"),
    "outside": (lambda rows: [*rows, {"date": "2024-07-01", "value": "4"}], "outside what was asked for: 2024-07-01"),
    "ends early": (lambda rows: rows[:30], "ends on 2024-01-31, before 2024-06-28"),
    "begins late": (lambda rows: rows[60:], "begins on 2024-03-02, after 2024-01-02"),
    "no day": (lambda rows: [{"date": "soon", "value": "4"}], "soon is no date"),
    "empty": (lambda rows: [], "no row from 2024-01-02 to 2024-06-28"),
    "no values": (lambda rows: [row | {"value": "."} for row in rows], "no value from 2024-01-02 to 2024-06-28"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS)
def test_an_answer_of_fred_that_is_not_what_was_asked_for_is_refused(
    change: Callable, message: str, monkeypatch: pytest.MonkeyPatch, key: None, tmp_path: Path
) -> None:
    with serve(answering(change)) as server:
        monkeypatch.setattr(fred, "URL", server.url)
        with pytest.raises(InputError, match=f"FRED, DGS10: .*{message}.*; nothing was stored; "):
            live.fetch(Wanted("DGS10", "economic"), FIRST, LAST, RawStore(tmp_path))
    assert not list(tmp_path.rglob("*.parquet"))


BODY = json.dumps({"seriess": [{"observation_start": "1962-01-02", "observation_end": "2025-12-31"}]})
BROKEN = {
    "a page": (Answer("<html><title>x</title><h1>Scheduled maintenance</h1>", headers={"Content-Type": "text/html"}),
               "HTTP 200 with something else than JSON: 'Scheduled maintenance'"),
    "no type": (Answer("<h1>Oops</h1>"), "something else than JSON: 'Oops'"),
    "503 with a page": (Answer("<html><h1>Down</h1></html>", 503), "HTTP 503: 'Down'"),
    "cut": (Answer(BODY, cut=20), "IncompleteRead"),
    "half a JSON": (Answer(BODY[:40]), "something else than JSON"),
    "a list": (as_json([1]), "a JSON list in place of an object"),
    "another object": (as_json({"series": []}), "does not describe one series"),
    "a byte a second": (Answer(BODY, drip=1.0), "no whole answer within 0.2 s"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_asked_for_again_and_then_told(
    answer: Answer, message: str, monkeypatch: pytest.MonkeyPatch, key: None
) -> None:
    monkeypatch.setattr(client, "DEADLINE", 0.2)
    with serve(lambda path, query: answer) as server:
        monkeypatch.setattr(fred, "URL", server.url)
        with pytest.raises(InputError) as told:
            fred.fetch("DGS10", FIRST, LAST)
        assert len(server.requests) == 5
    assert "FRED, DGS10: no answer after 5 attempts (" in str(told.value)
    assert message in str(told.value)
    assert "nothing was stored" in str(told.value)


def test_no_message_holds_the_key(monkeypatch: pytest.MonkeyPatch, key: None) -> None:
    with serve(observations) as server:
        monkeypatch.setattr(fred, "URL", server.url)  # a port on which nobody listens any more
    with pytest.raises(InputError, match="no answer after 5 attempts") as told:
        fred.fetch("DGS10", FIRST, LAST)
    assert KEY not in str(told.value)


def test_a_server_s_own_pause_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch, key: None) -> None:
    monkeypatch.setattr(client, "PAUSE", 0.0)
    monkeypatch.setattr(client, "LONGEST_PAUSE", 0.3)
    bad = [Answer("wait", 429, {"Retry-After": "3600"})]
    with serve(lambda path, query: bad.pop() if bad else observations(path, query)) as server:
        monkeypatch.setattr(fred, "URL", server.url)
        begun = time.monotonic()
        fred.fetch("DGS10", FIRST, LAST)
    assert 0.3 <= time.monotonic() - begun < 5


def test_fred_without_a_key_says_where_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRED_API_KEY", raising=False)
    with pytest.raises(InputError, match=r"FRED_API_KEY is not set; a key is free at https://fred.stlouisfed.org"):
        fred.fetch("DGS10", FIRST, LAST)


@pytest.mark.parametrize(
    ("name", "message"), [("NONE", "series does not exist"), ("DGS10", "api_key is not registered")]
)
def test_fred_s_own_words_are_passed_on(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRED_API_KEY", KEY if name == "NONE" else "wrong")
    with serve(observations) as server:
        monkeypatch.setattr(fred, "URL", server.url)
        with pytest.raises(InputError, match=message):
            fred.fetch(name, FIRST, LAST)


def test_fred_s_revisions_do_not_change_what_was_known_first(
    monkeypatch: pytest.MonkeyPatch, key: None, tmp_path: Path
) -> None:
    store, rate = RawStore(tmp_path), Wanted("DGS10", "economic")
    with serve(observations) as server:
        monkeypatch.setattr(fred, "URL", server.url)
        before = live.fetch(rate, FIRST, LAST, store)[0]
        after = live.fetch(rate, FIRST, date(2024, 8, 30), store)[0]  # this server restates the month they share
    pd.testing.assert_frame_equal(after.iloc[: len(before)], before)
    assert after["date"].max() == pd.Timestamp(2024, 8, 30)
    assert after["date"].is_unique


def spreadsheet(
    columns: tuple[str, str] = ("date", "News Sentiment"), first: str = "2024-01-01", last: str = "2024-06-30"
) -> bytes:
    days = pd.date_range(first, last)
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
        "San Francisco Fed, news sentiment: release of Mon, 01 Jul 2024 16:00:00 GMT, which re-estimates the past"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (spreadsheet()[:4000], "no answer after 5 attempts .an answer that is no spreadsheet"),
        (b"<html><title>503</title>Back soon</html>", "no answer after 5 attempts .an answer that is no spreadsheet"),
        (spreadsheet(("date", "Index")), "the bank has changed the file"),
        (spreadsheet(first="2024-03-04"), "begins on 2024-03-04, after 2024-01-02; .*set data.start to 2024-03-04"),
        (spreadsheet(last="2024-04-30"), "ends on 2024-04-30, before 2024-06-28"),
    ],
    ids=["truncated", "a page", "changed columns", "begins late", "ends early"],
)
def test_a_broken_spreadsheet_is_refused(content: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda path, query: sentiment(content)) as server:
        monkeypatch.setattr(news_sentiment, "URL", server.url)
        with pytest.raises(InputError, match=message):
            news_sentiment.fetch(FIRST, LAST)
