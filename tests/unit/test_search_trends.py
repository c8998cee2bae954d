"""Google Trends through pytrends, against a server that answers in its two steps."""

import json
from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pandas as pd
import pytest
from pytrends import request as pytrends_request

from finscale.errors import InputError
from finscale.sources import retrying, search_trends
from tests.servers import Answer, serve


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PAUSE", 0.0)


class Trends:
    """Google's two-step service: a token for the request, then weekly values scaled to their own maximum."""

    def __init__(self, agree: bool = True) -> None:
        rng = np.random.default_rng(1)
        self.weeks = pd.date_range("2003-12-28", "2024-12-29", freq="7D")
        self.interest = 50 * np.exp(rng.normal(scale=0.04, size=len(self.weeks)).cumsum())
        self.agree, self.bad_days, self.rng = agree, 0, rng

    def __call__(self, path: str, query: dict[str, str]) -> Answer:
        if self.bad_days and "/api/" in path:
            self.bad_days -= 1
            return Answer("rate limit", status=429, headers={"Content-Type": "text/html"})
        if path.endswith("/api/explore"):
            item = json.loads(query["req"])["comparisonItem"][0]
            widget = {"id": "TIMESERIES", "token": "t", "request": {"time": item["time"]}}
            return Answer(")]}'" + json.dumps({"widgets": [widget]}), headers={"Content-Type": "application/json"})
        if path.endswith("/multiline"):
            first, last = json.loads(query["req"])["time"].split()
            return Answer(")]}',\n"[:5] + json.dumps(self.timeline(first, last)),
                          headers={"Content-Type": "application/json"})  # fmt: skip
        return Answer("", headers={"Set-Cookie": "NID=1; Path=/"})

    def timeline(self, first: str, last: str) -> dict:
        inside = (self.weeks >= first) & (self.weeks <= last)
        values = self.interest[inside] if self.agree else self.rng.uniform(1, 100, inside.sum())
        scaled = np.round(values / values.max() * 100).astype(int)
        points = [
            {"time": str(int(week.timestamp())), "value": [int(value)], "hasData": [True]}
            for week, value in zip(self.weeks[inside], scaled, strict=True)
        ]
        points[-1]["isPartial"] = True
        return {"default": {"timelineData": points}}


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Trends], None]]:
    servers = []

    def start(service: Trends) -> None:
        running = serve(service)
        servers.append(running)
        base = running.__enter__().url
        monkeypatch.setattr(pytrends_request, "BASE_TRENDS_URL", base)
        client = pytrends_request.TrendReq
        monkeypatch.setattr(client, "GENERAL_URL", f"{base}/api/explore")
        monkeypatch.setattr(client, "INTEREST_OVER_TIME_URL", f"{base}/api/widgetdata/multiline")

    yield start
    for running in servers:
        running.__exit__(None, None, None)


@pytest.mark.filterwarnings("ignore:.*fillna.*:FutureWarning")
def test_overlapping_windows_of_google_trends_come_to_one_scale(google: Callable[[Trends], None]) -> None:
    service = Trends()
    service.bad_days = 1
    google(service)
    frame = search_trends.fetch(date(2010, 1, 1), date(2019, 12, 31))
    expected = pd.Series(service.interest, service.weeks)[frame["date"]]
    assert (frame["week_end"] - frame["date"] == pd.Timedelta(days=6)).all()
    assert frame["week_end"].max() <= pd.Timestamp(2019, 12, 31)
    ratio = frame["value"].to_numpy() / expected.to_numpy()
    assert np.abs(ratio / np.median(ratio) - 1).max() < 0.1  # Google rounds to whole percents


def test_windows_that_do_not_agree_are_refused(google: Callable[[Trends], None]) -> None:
    google(Trends(agree=False))
    with pytest.raises(InputError, match="do not agree in the year they share"):
        search_trends.fetch(date(2010, 1, 1), date(2019, 12, 31))
