from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from finscale.validation import validate


def spoiled(change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def apply(raw: pd.DataFrame) -> pd.DataFrame:
        frame = raw.copy()
        changed = change(frame)
        return frame if changed is None else changed

    return apply


def put(row: int, column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return spoiled(lambda f: f.assign(**{column: f[column].where(f.index != row, value)}))


SPOILED = {
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


def test_the_real_series_is_clean(raw: pd.DataFrame) -> None:
    assert validate("SP500", raw) == []


@pytest.mark.parametrize("rule", SPOILED)
def test_each_flaw_is_found_by_name(rule: str, raw: pd.DataFrame) -> None:
    errors = [finding for finding in validate("SP500", SPOILED[rule](raw)) if finding.rule.severity == "error"]
    assert rule in [finding.rule.name for finding in errors]
    told = str(next(finding for finding in errors if finding.rule.name == rule))
    assert told.startswith(f"SP500: {rule} (")
    assert "; " in told  # the remedy


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [("volume", 0, "zero volume"), ("close", 1e6, "open or close outside low to high")],
)
def test_oddities_of_published_data_are_warnings(column: str, value: float, rule: str, raw: pd.DataFrame) -> None:
    findings = validate("SP500", put(20, column, value)(raw))
    assert [(finding.rule.name, finding.rule.severity) for finding in findings] == [(rule, "warning")]
    assert findings[0].where == ["1999-02-02"]
