"""Which symbols an experiment is about: names of universes, typed tickers, and everything that a source holds."""

from datetime import date
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from finscale.assets import data_set, parse_assets, ticker_of
from finscale.config import StudyAxes, check_params, read_yaml
from finscale.errors import InputError
from finscale.identity import differs_from
from finscale.sources.config import DataConfig
from finscale.sources.universes import members


def config(folder: Path) -> DataConfig:
    return DataConfig(start=date(2000, 1, 3), end=date(2018, 12, 31), directory=str(folder))


def universe(tmp_path: Path, text: str, name: str = "mine") -> Path:
    (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_the_same_tickers_are_the_same_assets_however_they_are_typed() -> None:
    assert parse_assets(["TLT", "gld.us"]) == parse_assets("GLD,TLT") == "GLD,TLT"
    assert parse_assets(["GLD"]) == "GLD,"  # no universe's name
    assert [ticker_of(name) for name in ("brk.b", "BRK/B", "BRK_B", "^gspc")] == ["BRK-B"] * 3 + ["^GSPC"]


@pytest.mark.parametrize("value", ["../A", "A.yaml", "", 5, ["GLD", True], ["GLD", "gld"], [], ["a b"], ["../x"]])
def test_what_is_neither_a_name_nor_tickers_is_refused_with_the_way_to_type_them(value: object) -> None:
    with pytest.raises(InputError, match=r"params\.yaml: assets = .* is not allowed: .*"):
        check_params(StudyAxes, axes(value), Path("params.yaml"))


def axes(assets: object) -> dict[str, object]:
    return {"quality": "a", "timescale": "daily", "tier": "a20", "source": "live", "assets": assets,
            "symbols": None, "history": "all", "task": "direction", "horizon": 5}  # fmt: skip


def test_dvc_writes_a_typed_list_as_the_settings_read_it(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("assets: A\n")
    apply_overrides(params, ["assets=[TLT,GLD]"])
    assert check_params(StudyAxes, axes(read_yaml(params)["assets"]), params).assets == "GLD,TLT"
    apply_overrides(params, ["assets=['ON',NO]"])  # truth values to YAML 1.1, and tickers
    assert check_params(StudyAxes, axes(read_yaml(params)["assets"]), params).assets == "NO,ON"


def test_a_result_of_typed_tickers_is_of_the_settings_that_made_it() -> None:
    assert differs_from({"params": {"assets": "GLD,TLT"}}, {"assets": ["TLT", "GLD"]}) == ""
    assert differs_from({"params": {"assets": "GLD,TLT"}}, {"assets": "A"})


def test_a_data_set_has_a_short_name_of_its_own() -> None:
    many = parse_assets([f"T{number}" for number in range(400)])
    names = [data_set(assets, "a") for assets in ("A", "all", "GLD,TLT", "GLD,", many, many + ",ZZ")]
    assert names[:4] == ["Aa", "all-a", "GLD,TLT-a", "GLD-a"]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) < 40


def test_all_is_every_file_of_a_folder_but_vix(tmp_path: Path) -> None:
    (tmp_path / "ohlcv").mkdir()
    for name in ("brk.b.us.TXT", "^GSPC.csv", "tlt.csv.gz", "VIX.csv", "notes.md"):
        (tmp_path / "ohlcv" / name).touch()
    assert members("directory", "all", "a", config(tmp_path)).symbols == ("BRK-B", "GSPC", "TLT")
    assert members("simulated", "all", "a", config(tmp_path)).symbols == ("SIM",)
    with pytest.raises(InputError, match="source live has no list of everything; tickers are typed as a list"):
        members("live", "all", "a", config(tmp_path))


def test_an_unknown_universe_tells_what_there_is_and_how_to_type_a_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no universes/F\.yaml; there are A, B, C, D, E, all; tickers are typed as a"):
        members("directory", "F", "a", config(tmp_path))


def test_a_universe_of_one_s_own(tmp_path: Path) -> None:
    folder = universe(tmp_path, "symbols: [gld, BRK.B]\nseries: [DGS10]\n")
    found = members("live", "mine", "a", config(tmp_path), folder)
    assert (found.symbols, found.series) == (("GLD", "BRK-B"), ("DGS10",))
    with pytest.raises(InputError, match="assets = mine is not offered by source bundled"):
        members("bundled", "mine", "a", config(tmp_path), folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("symbols: [GLD, TRUE]", "put it in quotes"),
        ("symbols: [GLD, VIX]", "VIX is what quality c adds"),
        ("symbols: GLD", "a list of tickers, or `all`"),
        ("symbols: [GLD]\nseries: [CPI]", "series = 'CPI' is not allowed"),
        ("symbol: [GLD]", "symbol = .* did you mean symbols"),
    ],
)
def test_a_universe_file_that_cannot_be_is_refused_by_name(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as told:
        members("live", "mine", "a", config(tmp_path), universe(tmp_path, text))
    assert "mine.yaml: " in str(told.value)
