"""A page of 500 series is as long as one of forty, and names the worst; a page of forty has a line for each."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from finscale.data.validation import RULES, Finding
from finscale.errors import InputError
from finscale.pages import data_figures
from finscale.pages.many import READABLE, WORST, series_lines, series_table, some, usable_rows
from stages.validate import finding_lines, stop_on_errors

DAYS = pd.date_range("1990-01-01", periods=500, freq="7D").strftime("%Y-%m-%d")


def manifest(series: int) -> pd.DataFrame:
    """Series that begin a week after one another."""
    names = [f"S{number:03}" for number in range(series)]
    table = pd.DataFrame({"series": names, "kind": "prices", "first": DAYS[:series], "last": "2017-11-10", "md5": "0"})
    table = table.assign(origin="ohlcv/" + table["series"] + ".csv", rows=range(1000, 1000 + series))
    return table.assign(notes=table["origin"] + ": no adjusted close")


def findings(count: int, severity: str = "warning") -> list[Finding]:
    rules = [rule for rule in RULES if rule.severity == severity][:2]
    return [Finding(f"S{n:03}", rules[n % 2], [f"{date(2000, 1, 1)}"] * (n + 1)) for n in range(count)]


def test_few_series_have_a_line_each() -> None:
    lines = series_lines(manifest(READABLE))
    assert len(lines) == READABLE
    assert lines[1] == (
        "S001 (prices, ohlcv/S001.csv): 1001 rows, 1990-01-08 to 2017-11-10. ohlcv/S001.csv: no adjusted close"
    )
    assert [row["series"] for row in series_table(manifest(3))] == ["S000", "S001", "S002"]
    assert finding_lines(findings(READABLE)) == [f"warning: {one}" for one in findings(READABLE)]


def test_hundreds_are_told_in_a_few_lines_with_the_ones_that_stand_apart() -> None:
    lines = series_lines(manifest(499))
    assert len(lines) < 10
    assert lines[0].startswith("499 series of prices: 623,251 rows, 1990-01-01 to 2017-11-10; 1,000 to 1,498 rows each")
    assert lines[1].startswith("begin last: S498 (1999-07-19), S497")
    assert lines[1].endswith("and 493 more")
    assert lines[-1] == "499 series: no adjusted close"
    [row] = series_table(manifest(499))
    assert (row["series"], row["rows"]) == ("499 series", 623_251)


def test_hundreds_of_findings_are_a_line_per_rule_that_names_the_worst() -> None:
    told = findings(499)
    lines = finding_lines(told)
    assert len(lines) == 2
    assert "250 series, most often S498 (499), S496 (497)" in lines[0]
    assert lines[0].endswith(told[0].rule.remedy)


def test_hundreds_of_errors_stop_with_some_of_them_and_their_number() -> None:
    with pytest.raises(InputError, match="and 459 more") as stopped:
        stop_on_errors(findings(499, "error"), {f"S{n:03}": "file" for n in range(499)})
    assert len(str(stopped.value).splitlines()) == READABLE + 1


def test_first_usable_days_of_hundreds_are_the_ends_and_the_middle() -> None:
    usable = {f"S{n:03}": {"rows": 2000 - n, "first_per_tier": {"a20": str(DAYS[n])}} for n in range(499)}
    rows = usable_rows(usable)
    assert [row["asset"] for row in rows][:2] == ["the longest", "in the middle"]
    assert [row["rows"] for row in rows] == [2000, 2000 - 249, *range(1506, 1501, -1)]
    assert len(usable_rows(dict(list(usable.items())[:READABLE]))) == READABLE


def test_some_names_stand_for_many() -> None:
    assert some(["A", "B"]) == "A, B"
    assert some([str(n) for n in range(9)]) == f"0, 1, 2, 3, 4 and {9 - WORST} more"


def test_the_figure_of_hundreds_counts_them_by_day(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(data_figures, "save", lambda figure, path: drawn.append(figure))
    data_figures.plot_coverage(manifest(499), Path("coverage.png"))
    [figure] = drawn
    assert figure.get_size_inches()[1] < 5
    y = figure.axes[0].lines[0].get_ydata()
    assert y[:3].tolist() == [1, 2, 3]
    assert (y.max(), y[-1]) == (499, 0)
    plt.close("all")
