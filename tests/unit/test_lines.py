"""The table of controls: a line that is no row is named, and the table then not written to."""

from pathlib import Path

import pytest

from finscale.errors import InputError
from study import controls

ROOT = Path(__file__).parents[2]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(controls, "TABLE", tmp_path / "controls.csv")
    return tmp_path / "controls.csv"


def test_the_committed_controls_are_all_rows() -> None:
    assert len(controls.known()) == len((ROOT / "results/controls.csv").read_text().splitlines()) - 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda line: line[:-40], r"line 3: \d+ values for 13 columns: the line was cut"),
        (lambda line: line.replace("(", "(9", 1), "line 3: test loss = .* is no value within its interval"),
        (lambda line: line.replace(line.split(",")[6], "many"), "line 3: invalid literal"),
        (lambda line: ">>>>>>> other", "line 3: a merge left it"),
        (lambda line: "", "line 3: the line is empty"),
    ],
    ids=["cut", "interval", "count", "merge", "empty"],
)
def test_a_line_that_is_none_is_named(spoil, said: str, table: Path) -> None:  # type: ignore[no-untyped-def]
    first, row, *_ = (ROOT / "results/controls.csv").read_text().splitlines()
    table.write_text("\n".join([first, row, spoil(row), row, ""]))
    with pytest.raises(InputError, match=rf"controls\.csv, {said}"):
        controls.known()
    table.write_text("something else\n1\n")
    with pytest.raises(InputError, match="its first line is no list of tier, complexity"):
        controls.known()
