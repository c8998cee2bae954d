"""Each answer that a provider should not give: one line with provider and series, and nothing is stored."""

import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from unittest.mock import patch

import yfinance
from yfinance.data import YfData

from finscale.errors import InputError
from finscale.sources import client, fred, live, news_sentiment
from finscale.sources.store import RawStore
from finscale.sources.tables import Wanted
from tests.faults.trial import Trial
from tests.servers import Answer, Redirected, Service, as_json, serve
from tests.unit import test_servers_series as good
from tests.unit.test_servers import Market

FIRST, LAST = date(2024, 1, 2), date(2024, 6, 28)
PAGE = "<html><title>x</title><h1>Back soon</h1></html>"
# Whatever the provider: what comes in place of a whole answer. The whole one is the argument.
TRANSPORT: dict[str, Callable[[Answer], Answer]] = {
    "a page, HTTP 200": lambda whole: Answer(PAGE, headers={"Content-Type": "text/html"}),
    "a page without Content-Type": lambda whole: Answer(PAGE),
    "HTTP 503 with a page": lambda whole: Answer(PAGE, 503),
    "HTTP 500 without a body": lambda whole: Answer("", 500),
    "HTTP 429": lambda whole: Answer("Too Many Requests", 429),
    "HTTP 403": lambda whole: Answer(PAGE, 403),
    "HTTP 404": lambda whole: Answer(PAGE, 404),
    "an empty body": lambda whole: Answer(""),
    "half a body": lambda whole: Answer(_bytes(whole)[: len(_bytes(whole)) // 2], headers=whole.headers),
    "a body that is cut": lambda whole: Answer(whole.body, headers=whole.headers, cut=len(_bytes(whole)) // 2),
    "a list": lambda whole: as_json([1]),
    "null": lambda whole: as_json(None),
    "another object": lambda whole: as_json({"status": "ok"}),
    "a byte every half second": lambda whole: Answer(whole.body, headers=whole.headers, drip=0.5),
    "garbage": lambda whole: Answer(b"\x00\xff\xfe" * 300, headers=whole.headers),
}


def providers(only: str | None = None) -> list[Trial]:
    trials = []
    yfinance.set_tz_cache_location(tempfile.mkdtemp())  # yfinance holds it open to the end
    with patch.object(client, "LONGEST_PAUSE", 0.0), patch.object(client, "DEADLINE", 1.0):
        for name, ask in {"Yahoo Finance": _yahoo, "FRED": _fred, "San Francisco Fed": _sentiment}.items():
            for how, change in TRANSPORT.items():
                if only is None or only in f"{name}: {how}":
                    trials.append(_trial(name, how, ask, change))
                    print(f"faults: {trials[-1]}", flush=True)
        for how, (change_rows, _) in good.FAULTS.items():
            if only is None or only in f"FRED: {how}":
                trials.append(_trial("FRED", how, _fred, None, good.answering(change_rows)))
                print(f"faults: {trials[-1]}", flush=True)
    return trials


Ask = Callable[[Service, RawStore], object]


def _trial(
    name: str, how: str, ask: Ask, change: Callable[[Answer], Answer] | None, service: Service | None = None
) -> Trial:
    fault = f"{name}: {how}"
    whole = {"Yahoo Finance": Market(), "FRED": good.observations, "San Francisco Fed": _released}[name]

    def changed(path: str, query: dict[str, str]) -> Answer:
        answer = whole(path, query)
        return change(answer) if change else answer

    with tempfile.TemporaryDirectory() as folder:
        try:
            ask(service or changed, RawStore(Path(folder)))
        except InputError as error:
            stored = list(Path(folder).rglob("*.parquet"))
            said = str(error)
            fine = said.startswith(name) and "nothing was stored" in said and not stored and good.KEY not in said
            return Trial(fault, fine, said if not stored else f"stored: {stored[0].name}")
        except Exception as error:
            return Trial(fault, False, f"a traceback: {error!r}")
        return Trial(fault, False, "taken in silence")


def _yahoo(service: Service, store: RawStore) -> object:
    with serve(service) as server:
        YfData().__init__(Redirected(server.url))  # type: ignore[misc]
        try:
            return live.fetch(Wanted("SPY", "prices"), FIRST, LAST, store)
        finally:
            YfData.cache_get.cache_clear()


def _fred(service: Service, store: RawStore) -> object:
    with (
        serve(service) as server,
        patch.object(fred, "URL", server.url),
        patch.dict("os.environ", FRED_API_KEY=good.KEY),
    ):
        return live.fetch(Wanted("DGS10", "economic"), FIRST, LAST, store)


def _sentiment(service: Service, store: RawStore) -> object:
    with serve(service) as server, patch.object(news_sentiment, "URL", server.url):
        return live.fetch(Wanted("news_sentiment", "sentiment"), FIRST, LAST, store)


def _released(path: str, query: dict[str, str]) -> Answer:
    return good.sentiment(good.spreadsheet())


def _bytes(answer: Answer) -> bytes:
    return answer.body.encode() if isinstance(answer.body, str) else answer.body
