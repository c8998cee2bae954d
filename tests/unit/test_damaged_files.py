"""A file of results that was cut in half, emptied or overwritten is named by whoever reads it, with the way out."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.evaluation.day_file import read_day_file
from finscale.pages.page import inlined_libraries
from finscale.pages.transfer import read_runs
from finscale.scaling.epochs import read_epochs
from finscale.scaling.ledger import AXES, open_ledger
from finscale.scaling.refused import read_refused
from finscale.sources.config import DataConfig
from finscale.sources.inputs import HashMemo, inputs_of
from finscale.sources.store import RawStore
from finscale.sources.universes import members
from study import noiseless
from study.recipe.table import read_rows
from tests.faults.damage import DAMAGES

ROOT = Path(__file__).parents[2]


def _first(folder: str) -> Path:
    return min(path for path in (ROOT / folder).iterdir() if path.suffix in (".csv", ".parquet"))


def _epochs(path: Path) -> object:
    return read_epochs(path, len((ROOT / "results/epochs" / path.name).read_text().splitlines()) - 1)


def _noiseless(path: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noiseless, "TABLE", path)
        return noiseless._known()


READERS: dict[str, tuple[Path, Callable[[Path], object]]] = {
    "losses per epoch": (_first("results/epochs"), _epochs),
    "losses per day": (_first("results/daily"), read_day_file),
    "learning rates over budgets": (ROOT / "results/hyperparameter_transfer.csv", read_runs),
    "recipe": (ROOT / "results/recipe.csv", read_rows),
    "losses without noise": (ROOT / "results/noiseless.csv", _noiseless),
    "refused runs": (ROOT / "results/refused.csv", read_refused),
    "page of plots": (ROOT / ".dvc/plots/offline.html", inlined_libraries),
}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("what", READERS)
def test_a_damaged_file_is_named(what: str, how: str, tmp_path: Path) -> None:
    whole, read = READERS[what]
    path = tmp_path / whole.name
    shutil.copyfile(whole, path)
    read(path)
    path.write_bytes(DAMAGES[how](whole.read_bytes()))
    with pytest.raises(InputError, match=path.name):
        read(path)


@pytest.mark.parametrize("change", [DAMAGES["cut in half"], DAMAGES["emptied"], lambda content: content[:-1]])
def test_a_ledger_of_which_a_part_is_left_is_named_and_counts_no_row_that_it_lacks(
    change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """Of a header alone, as of a fresh clone, too: whoever counts rows by axis finds the axes."""
    whole = (ROOT / "results/ledger.csv").read_bytes()
    path = tmp_path / "ledger.csv"
    for content in (whole, whole.splitlines(keepends=True)[0]):
        path.write_bytes(change(content))
        ledger = open_ledger(path)
        assert len(ledger.faults) == 1
        assert "ledger.csv" in ledger.faults[0]
        assert len(ledger.rows) < max(1, content.count(b"\n"))
        assert set(AXES) <= set(ledger.rows)

    path.write_bytes(DAMAGES["overwritten"](whole))
    with pytest.raises(InputError, match=r"ledger\.csv is no text"):
        open_ledger(path)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_list_of_stored_answers_is_named(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINSCALE_STORE", str(tmp_path))
    config = DataConfig(start=date(2024, 1, 2), end=date(2024, 6, 28), directory="none")
    store, universe = RawStore(tmp_path), members("live", "A", "a", config)
    store.whole("yahoo", "SPY", config.start, config.end, lambda first, last: pd.DataFrame({"date": [first]}))
    manifest = tmp_path / "manifest.csv"

    def read() -> dict[str, Any]:
        return inputs_of("live", universe, "a", config, HashMemo(tmp_path / "memo.json"))

    assert len(read()["answers"]) == 1
    manifest.write_bytes(DAMAGES[how](manifest.read_bytes()))
    with pytest.raises(InputError, match=r"manifest\.csv"):
        read()


def test_a_damaged_memo_of_hashes_is_begun_anew(tmp_path: Path) -> None:
    for content in ("", "null", "[1]", '{"a": '):
        (tmp_path / "memo.json").write_text(content)
        assert HashMemo(tmp_path / "memo.json").md5(ROOT / "LICENSE")
