"""What a data set needs, the user's own folder, and the raw store."""

from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.sources import directory
from finscale.sources.config import DataConfig
from finscale.sources.fetch import fetch
from finscale.sources.store import RawStore
from finscale.sources.tables import Universe, Wanted, wanted
from finscale.sources.universes import members
from study.backup import copy_store

MARKET = Path(__file__).parents[3] / "shared/data/market"
needs_market = pytest.mark.skipif(
    not MARKET.is_dir(), reason="the real series of ../shared/data are not on this machine"
)


def config(folder: Path, start: str = "2000-01-03", end: str = "2018-12-31") -> DataConfig:
    return DataConfig(start=date.fromisoformat(start), end=date.fromisoformat(end), directory=str(folder))


def of(assets: str) -> Universe:
    """A universe of the study, as source `directory` has it."""
    return members("directory", assets, "a", config(Path()))


def test_each_tier_holds_those_before_it() -> None:
    assert of("A").symbols == ("SPY",)
    assert of("C").symbols == ("SPY", "DIA", "QQQ")
    assert of("D").symbols == of("E").symbols
    assert len(of("D").symbols) == 10


def test_a_data_set_needs_its_own_series_and_no_more() -> None:
    assert [series.name for series in wanted(of("A"), "a")] == ["SPY"]
    assert [series.name for series in wanted(of("A"), "c")] == ["SPY", "sentiment", "VIX"]
    names = [series.name for series in wanted(of("E"), "d")]
    assert names[10:] == ["DGS2", "DGS10", "DFF", "USD3MTD156N", "SOFR", "sentiment", "VIX", "search_interest"]


def test_the_bundled_source_says_what_it_has() -> None:
    with pytest.raises(InputError, match="assets = D is not offered by source bundled, which has A = SP500; B = "):
        members("bundled", "D", "a", config(Path()))
    with pytest.raises(InputError, match="quality = b is not offered by source bundled"):
        members("bundled", "A", "b", config(Path()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ohlcv").mkdir()
    days = pd.bdate_range("2000-01-03", periods=30)
    prices = dict.fromkeys(("Open", "High", "Low", "Close"), 10.0) | {"Volume": 100}
    pd.DataFrame({"Date": days, **prices}).to_csv(tmp_path / "ohlcv/SPY.csv", index=False)
    return tmp_path


def test_prices_without_an_adjusted_close_count_as_adjusted(folder: Path) -> None:
    frame, origin, _ = directory.fetch(str(folder), Wanted("SPY", "prices"))
    assert (frame["adj_close"] == frame["close"]).all()
    assert origin == "ohlcv/SPY.csv"


def test_parquet_is_read_as_well(folder: Path) -> None:
    path = folder / "ohlcv/SPY.csv"
    frame = pd.read_csv(path, parse_dates=["Date"])
    path.unlink()
    frame.assign(adj_close=5.0).to_parquet(folder / "ohlcv/SPY.parquet")
    assert (directory.fetch(str(folder), Wanted("SPY", "prices"))[0]["adj_close"] == 5.0).all()


def test_bad_files_are_named(folder: Path) -> None:
    spy = Wanted("SPY", "prices")
    with pytest.raises(InputError, match=r"expected one file for DIA, found none but SPY"):
        directory.fetch(str(folder), Wanted("DIA", "prices"))
    (folder / "ohlcv/SPY.parquet").touch()
    with pytest.raises(InputError, match=r"found SPY.csv, SPY.parquet"):
        directory.fetch(str(folder), spy)
    (folder / "ohlcv/SPY.parquet").unlink()
    with pytest.raises(InputError, match=r"data.directory = nowhere: no such folder"):
        fetch("directory", of("A"), "a", config(Path("nowhere")), RawStore(folder))


def test_a_range_without_rows_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"SPY: no rows between data.start and data.end"):
        fetch("directory", of("A"), "a", config(folder, "2005-01-03"), RawStore(folder))


@needs_market
@pytest.mark.parametrize("assets", ["A", "B", "C", "D", "E"])
@pytest.mark.parametrize("quality", ["a", "b", "c", "d"])
def test_all_twenty_data_sets_are_read_from_real_files(assets: str, quality: str) -> None:
    found = fetch("directory", of(assets), quality, config(MARKET), RawStore(MARKET))  # type: ignore[arg-type]
    expected = [one.name for one in wanted(of(assets), quality) if one.name != "SOFR"]  # type: ignore[arg-type]
    assert {one.wanted.name for one in found} <= set(expected)
    for one in found:
        assert one.frame["date"].between("2000-01-03", "2018-12-31").all()
        assert not one.frame.empty


def answer(first: date, last: date) -> pd.DataFrame:
    days = pd.date_range(first, last)
    return pd.DataFrame({"date": days, "value": range(len(days))})


def test_a_later_end_asks_for_the_new_days_only(tmp_path: Path) -> None:
    store, asked = RawStore(tmp_path), []

    def ask(first: date, last: date) -> pd.DataFrame:
        asked.append((first, last))
        return answer(first, last)

    store.segments("s", "x", date(2020, 1, 1), date(2020, 6, 30), ask)
    store.segments("s", "x", date(2020, 1, 1), date(2020, 12, 31), ask)
    store.segments("s", "x", date(2020, 1, 1), date(2020, 12, 31), ask)
    assert asked == [(date(2020, 1, 1), date(2020, 6, 30)), (date(2020, 5, 31), date(2020, 12, 31))]
    shorter = store.segments("s", "x", date(2020, 2, 1), date(2020, 6, 1), ask)
    assert [(one.first, one.last) for one in shorter] == asked[:1]
    assert len(asked) == 2


def test_an_earlier_start_takes_the_history_anew(tmp_path: Path) -> None:
    store = RawStore(tmp_path)
    store.segments("s", "x", date(2020, 1, 1), date(2020, 6, 30), answer)
    found = store.segments("s", "x", date(2019, 1, 1), date(2020, 6, 30), answer)
    assert [(one.first, one.last) for one in found] == [(date(2019, 1, 1), date(2020, 6, 30))]
    assert len(store.manifest()) == 2


def test_a_failed_download_leaves_no_trace(tmp_path: Path) -> None:
    store = RawStore(tmp_path)

    def fail(first: date, last: date) -> pd.DataFrame:
        raise InputError("no answer")

    with pytest.raises(InputError, match="no answer"):
        store.segments("s", "x", date(2020, 1, 1), date(2020, 6, 30), fail)
    assert store.manifest().empty


def test_the_manifest_tells_what_is_stored_and_damage_is_found(tmp_path: Path) -> None:
    store = RawStore(tmp_path)
    store.whole("s", "x", date(2020, 1, 1), date(2020, 1, 31), answer)
    row = store.manifest().iloc[0]
    assert (row["source"], row["series"], row["first"], row["last"], row["rows"]) == (
        "s", "x", "2020-01-01", "2020-01-31", 31,
    )  # fmt: skip
    assert store.damaged() == []
    (path,) = tmp_path.glob("s/x/2020-01-01_2020-01-31-*.parquet")
    path.write_bytes(path.read_bytes() + b"!")
    assert store.damaged() == [f"{path}: changed since it was retrieved"]
    with pytest.raises(InputError, match="missing or damaged; restore it from the backup"):
        store.whole("s", "x", date(2020, 1, 1), date(2020, 1, 31), answer)
    path.unlink()
    assert store.damaged() == [f"{path}: missing"]


def stored(root: Path, factor: float, vintage: date | None = None) -> RawStore:
    store = RawStore(root, vintage)
    year = (date(2020, 1, 1), date(2020, 12, 31))
    store.segments("s", "x", *year, lambda a, b: answer(a, b).assign(value=factor))
    return store


def test_a_newer_vintage_asks_anew_and_the_older_answer_stays(tmp_path: Path) -> None:
    year = (date(2020, 1, 1), date(2020, 12, 31))

    def ask(store: RawStore, factor: float) -> float:
        segments = store.segments("s", "x", *year, lambda a, b: answer(a, b).assign(value=factor))
        return float(segments[0].frame["value"].iloc[0])

    today = datetime.now(UTC).date()
    assert ask(RawStore(tmp_path), 1.0) == 1.0
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(f"{today}T", "2021-01-04T"))  # an answer of another year
    assert ask(RawStore(tmp_path), 2.0) == 1.0
    assert ask(RawStore(tmp_path, vintage=today), 2.0) == 2.0
    assert ask(RawStore(tmp_path, vintage=today), 3.0) == 2.0
    assert ask(RawStore(tmp_path), 3.0) == 1.0
    assert RawStore(tmp_path).damaged() == []


def test_two_stores_of_different_vintages_share_a_backup_whole(tmp_path: Path) -> None:
    old, new, backup = stored(tmp_path / "old", 1.0), stored(tmp_path / "new", 2.0), RawStore(tmp_path / "backup")
    for _ in range(2):
        for store in (old, new):
            copy_store(store, backup)
            assert backup.damaged() == []
    assert len(backup.manifest()) == 2
    assert len(list(backup.root.rglob("*.parquet"))) == 2


def test_files_of_an_earlier_version_are_found_under_their_old_name(tmp_path: Path) -> None:
    store = stored(tmp_path, 1.0)
    (path,) = tmp_path.rglob("*.parquet")
    path.rename(path.with_name("2020-01-01_2020-12-31.parquet"))
    assert store.damaged() == []
    assert store.segments("s", "x", date(2020, 1, 1), date(2020, 6, 30), answer)[0].frame["value"].iloc[0] == 1.0


def test_a_vintage_that_lies_ahead_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vintage must not lie ahead"):
        DataConfig.model_validate(config(tmp_path).model_dump() | {"vintage": date(2199, 1, 1)})
