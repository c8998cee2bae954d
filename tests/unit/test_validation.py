"""Validation of raw series: each flaw is found by name, and real data pass."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest

from finscale.data.agreement import validate_together
from finscale.data.validation import RULES, validate
from finscale.sources import directory
from finscale.sources.tables import Wanted, wanted
from tests.unit.test_sources import MARKET, needs_market, of


def spoiled(change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def apply(raw: pd.DataFrame) -> pd.DataFrame:
        frame = raw.copy()
        changed = change(frame)
        return frame if changed is None else changed

    return apply


def put(row: int, column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return spoiled(lambda f: f.assign(**{column: f[column].where(f.index != row, value)}))


def times(
    column: str | list[str], factor: float, rows: Callable[[pd.Index], object]
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Some rows of some columns times a factor."""
    names = [column] if isinstance(column, str) else column
    return spoiled(lambda f: f.assign(**{name: f[name].where(~rows(f.index), f[name] * factor) for name in names}))


BARS = ["open", "high", "low", "close", "adj_close"]
SPOILED = {
    "number that is not finite": put(13, "high", np.inf),
    "day that has not passed": spoiled(
        lambda f: f.assign(date=f["date"].where(f.index < len(f) - 1, pd.Timestamp("2199-01-02")))
    ),
    "open or close often outside low to high": spoiled(
        lambda f: f.assign(high=f["high"].where(f.index < 4900, f["low"]))
    ),
    "price moves by the ratio of a split": times(BARS, 2.0, lambda rows: rows < 2000),
    "price in another unit": times(BARS, 100.0, lambda rows: (rows >= 2000) & (rows < 2005)),
    "volume in the shares of the day": spoiled(
        lambda f: times(BARS[:4], 7.0, lambda rows: rows < 2000)(times("volume", 1 / 7, lambda rows: rows < 2000)(f))
    ),
    "missing session": spoiled(lambda f: f.drop(index=100)),
    "duplicate date": spoiled(lambda f: pd.concat([f, f.loc[[50]]]).sort_values("date", ignore_index=True)),
    "price not above zero": put(7, "open", -1.0),
    "high below low": spoiled(lambda f: f.assign(high=f["high"].where(f.index != 9, f["low"] - 1))),
    "column has no values at all": spoiled(lambda f: f.assign(volume=np.nan)),
    "missing price or volume": put(11, "close", np.nan),
    "negative volume": put(12, "volume", -5),
    "dates not in order": spoiled(lambda f: f.iloc[[1, 0, *range(2, len(f))]].reset_index(drop=True)),
    "time of day in a date": put(3, "date", pd.Timestamp("1999-01-07 06:00")),
    "date is no NYSE session": put(4, "date", pd.Timestamp("1999-01-09")),
}


def test_the_real_series_has_no_error(raw: pd.DataFrame) -> None:
    assert [str(finding.rule.name) for finding in validate("SP500", "prices", raw)] == [
        "open equals the previous close on most days of a year"  # its provider has no openings before 2006
    ]


@pytest.mark.parametrize("rule", SPOILED)
def test_each_flaw_is_found_by_name(rule: str, raw: pd.DataFrame) -> None:
    errors = [
        finding for finding in validate("SP500", "prices", SPOILED[rule](raw)) if finding.rule.severity == "error"
    ]
    assert rule in [finding.rule.name for finding in errors]
    told = str(next(finding for finding in errors if finding.rule.name == rule))
    assert told.startswith(f"SP500: {rule} (")
    assert "; " in told  # the remedy


def test_infinite_volume_is_found_as_well(raw: pd.DataFrame) -> None:
    (found,) = [f for f in validate("X", "prices", put(13, "volume", np.inf)(raw)) if f.rule.severity == "error"]
    assert found.where == ["1999-01-22"]


@pytest.mark.parametrize(
    "rule", ["price moves by the ratio of a split", "price in another unit", "volume in the shares of the day"]
)
def test_a_day_that_the_user_calls_real_is_accepted_and_no_other(rule: str, raw: pd.DataFrame) -> None:
    frame = SPOILED[rule](raw)
    (found,) = [finding for finding in validate("X", "prices", frame) if finding.rule.name == rule]
    days = [date.fromisoformat(day) for day in found.where]
    assert days[0] == frame["date"][2000].date()
    assert rule not in [finding.rule.name for finding in validate("X", "prices", frame, days)]
    assert rule in [finding.rule.name for finding in validate("X", "prices", frame, [date(2001, 1, 2)])]


def test_volume_that_a_vendor_has_adjusted_passes_a_split(raw: pd.DataFrame) -> None:
    frame = times(BARS[:4], 7.0, lambda rows: rows < 2000)(raw)
    assert not [finding for finding in validate("X", "prices", frame) if finding.rule.severity == "error"]


def together(**series: tuple[str, pd.DataFrame]) -> dict[str, list[str]]:
    return {f"{one.series}: {one.rule.name}": one.where for one in validate_together(series)}  # type: ignore[arg-type]


def test_series_that_end_or_begin_apart_from_the_prices_are_named(raw: pd.DataFrame) -> None:
    days = pd.date_range("1999-06-01", "2015-12-31")
    values = pd.DataFrame({"date": days, "value": 1.0})
    assert together(A=("prices", raw), sentiment=("sentiment", values)) == {
        "sentiment: ends before the prices do": ["2015-12-31, prices 2018-12-31"],
        "sentiment: begins after the prices do": ["1999-06-01, prices 1999-01-04"],
    }
    other = raw.assign(**{name: raw[name] * 1.1 for name in BARS})
    assert together(A=("prices", raw), B=("prices", other)) == {}
    assert list(together(A=("prices", raw), B=("prices", other[:3000]))) == ["B: ends before other assets do"]


def test_one_file_under_two_names_is_an_error(raw: pd.DataFrame) -> None:
    assert together(SPY=("prices", raw), DIA=("prices", raw.copy())) == {"DIA: the same bars under two names": ["SPY"]}


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [("volume", 0, "zero volume"), ("close", 1e6, "open or close outside low to high")],
)
def test_oddities_of_published_data_are_warnings(column: str, value: float, rule: str, raw: pd.DataFrame) -> None:
    findings = validate("SP500", "prices", put(20, column, value)(raw))
    found = {finding.rule.name: finding for finding in findings}
    assert {finding.rule.severity for finding in findings} == {"warning"}
    assert found[rule].where == ["1999-02-02"]


def test_a_split_that_only_one_column_knows_is_found(raw: pd.DataFrame) -> None:
    seam = raw.assign(adj_close=raw["adj_close"].where(raw.index < 2000, raw["adj_close"] / 2))
    assert "split seam" in [finding.rule.name for finding in validate("X", "prices", seam)]
    split = seam.assign(adj_close=raw["adj_close"], close=raw["close"].where(raw.index >= 2000, raw["close"] * 2))
    split[["open", "high", "low"]] = split[["open", "high", "low"]].mul(split["close"] / raw["close"], axis=0)
    assert "split seam" not in [finding.rule.name for finding in validate("X", "prices", split)]


def test_a_stalled_feed_and_a_wild_move_are_listed(raw: pd.DataFrame) -> None:
    bars = ["open", "high", "low", "close", "adj_close"]
    stale = raw.copy()
    stale.loc[100:105, bars] = stale.loc[100, bars].to_numpy()
    found = {finding.rule.name: finding.where for finding in validate("X", "prices", stale)}
    assert found["5 identical bars in a row"] == [f"{stale['date'][row]:%Y-%m-%d}" for row in (104, 105)]
    wild = raw.copy()
    wild.loc[300, bars] *= 2
    found = {finding.rule.name: finding.where for finding in validate("X", "prices", wild)}
    assert len(found["close moves more than 35% in a day (log)"]) == 2


@pytest.mark.parametrize(
    ("kind", "gap", "rule"),
    [("economic", 10, "gap of more than ten days"), ("sentiment", 10, "gap of more than ten days")],
)
def test_gaps_in_a_series_are_errors(kind: str, gap: int, rule: str) -> None:
    days = pd.date_range("2020-01-01", periods=60)
    frame = pd.DataFrame({"date": days, "value": 1.0}).drop(index=range(20, 20 + gap - 1))
    assert validate("X", kind, frame) == []  # type: ignore[arg-type]
    frame = frame.drop(index=20 + gap - 1)
    assert [finding.rule.name for finding in validate("X", kind, frame)] == [rule]  # type: ignore[arg-type]


def test_a_column_that_is_absent_or_no_number_is_an_error(raw: pd.DataFrame) -> None:
    assert str(validate("X", "prices", raw.drop(columns="volume"))[0]).startswith("X: column absent (volume)")
    words = raw.assign(close=raw["close"].astype(str))
    assert str(validate("X", "prices", words)[0]).startswith("X: column does not hold numbers (close)")


def test_holes_are_listed_up_to_the_limit_and_refused_beyond_it(raw: pd.DataFrame) -> None:
    few = validate("X", "prices", raw.drop(index=[100, 2000]), holes=2)
    (hole,) = (one for one in few if one.rule.name == "hole")
    assert {one.rule.severity for one in few} == {"warning"}
    assert len(hole.where) == 2
    (many,) = (
        one
        for one in validate("X", "prices", raw.drop(index=[100, 2000, 2001]), holes=2)
        if one.rule.severity == "error"
    )
    assert str(many).startswith("X: missing session (1999-05-27, ")


@needs_market
@pytest.mark.parametrize(
    "series", [one for one in wanted(of("E"), "d") if one.name != "SOFR"], ids=lambda one: one.name
)
def test_real_series_have_no_errors_and_known_dirt_is_a_warning(series: Wanted) -> None:
    frame = directory.fetch(str(MARKET), series)[0]
    frame = frame[frame["date"] >= "1990-01-01"].reset_index(drop=True)
    findings = validate(series.name, series.kind, frame)
    assert [str(finding) for finding in findings if finding.rule.severity == "error"] == []
    if series.name == "VIX":
        found = {finding.rule.name: len(finding.where) for finding in findings}
        assert found["open or close outside low to high"] == 47
        assert found["value on a day that is no NYSE session"] == 33


@needs_market
def test_an_index_without_opening_prices_is_listed_by_year() -> None:
    frame = directory.fetch(str(MARKET), Wanted("GSPC", "prices"))[0]
    early = frame[frame["date"] < "1990-01-01"]
    rule = next(rule for rule in RULES if rule.name.startswith("open equals"))
    assert "1970" in rule.check(early.reset_index(drop=True))
