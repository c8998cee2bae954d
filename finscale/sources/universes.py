"""Which symbols an experiment is about: the axis `assets`, the folder universes/, and what the source holds.

    symbols: [GLD, TLT]              # or: all, everything that the source holds
    series: [DGS10]                  # interest rates, as features of every asset
    instead: {bundled: [SP500]}      # what stands for the symbols in a source that lacks them

Stage `configure` asks here, once, and writes what it is told into data/inputs.json; commands that plan ask here too.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from finscale.assets import HOW, parse_tickers, tickers_in
from finscale.config import Block, Quality, Source, check_params, read_yaml
from finscale.errors import InputError
from finscale.sources.config import DataConfig
from finscale.sources.layout import prices_folder, require, symbols_in
from finscale.sources.tables import BUNDLED, Economic, Universe

UNIVERSES = Path("universes")
_RESERVED = ("VIX", "^VIX")  # of quality c, whose file would be the same
_ALL = ("all",)  # no ticker: those are in capitals


def _symbols(value: object) -> object:
    if value == "all":
        return _ALL
    if not isinstance(value, list):
        raise ValueError("a list of tickers, or `all`")
    tickers = parse_tickers(value)
    if reserved := [one for one in tickers if one in _RESERVED]:
        raise ValueError(f"{reserved[0]} is what quality c adds as a feature, and no asset")
    return tickers


Symbols = Annotated[tuple[str, ...], BeforeValidator(_symbols)]


class UniverseFile(Block):
    """One file of universes/."""

    symbols: Symbols
    series: tuple[Economic, ...] = ()
    instead: dict[Source, Symbols] = Field(default_factory=dict)


def members(source: Source, assets: str, quality: Quality, config: DataConfig, folder: Path = UNIVERSES) -> Universe:
    """The symbols and series of an experiment; of `config` the folder and the simulated market.

    Raises InputError where there is no such universe, and where the source is known not to hold it.
    """
    if quality != "a" and source in ("bundled", "simulated"):
        raise InputError(
            f"params.yaml: quality = {quality} is not offered by source {source}, which has prices alone (a); use "
            "source live or directory"
        )
    universe = _of(source, _asked(assets, folder), config)
    held = _held(source, config)
    if held is not None and (universe is None or universe.series or not set(universe.symbols) <= set(held)):
        raise InputError(
            f"params.yaml: assets = {assets} is not offered by source {source}, which has "
            f"{_offered(source, config, held, folder)}"
        )
    if universe is None:
        raise InputError(f"params.yaml: assets = {assets}: source {source} has no list of everything; {HOW}")
    return universe


def names_in(folder: Path = UNIVERSES) -> list[str]:
    """The universes that have a file."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _asked(assets: str, folder: Path) -> UniverseFile:
    if tickers := tickers_in(assets):
        return check_params(UniverseFile, {"symbols": list(tickers)}, Path(f"params.yaml: assets = {assets}"))
    if assets not in names_in(folder):
        there = ", ".join(names_in(folder)) or "none"
        raise InputError(
            f"params.yaml: assets = {assets}: there is no {folder / assets}.yaml; there are {there}; {HOW}"
        )
    path = folder / f"{assets}.yaml"
    return check_params(UniverseFile, read_yaml(path), path)


def _of(source: Source, asked: UniverseFile, config: DataConfig) -> Universe | None:
    """None where everything is wanted, and the source does not say what it holds."""
    symbols = asked.instead.get(source, asked.symbols)
    if symbols == _ALL:
        if (everything := _everything(source, config)) is None:
            return None
        symbols = everything
    return Universe(symbols=symbols, series=asked.series)


def _everything(source: Source, config: DataConfig) -> tuple[str, ...] | None:
    if source != "directory":
        return _held(source, config)
    require(config.directory)
    if not (found := symbols_in(config.directory)):
        raise InputError(f"{prices_folder(config.directory)}: no file of prices; put one there per symbol, SPY.csv")
    return found


def _held(source: Source, config: DataConfig) -> tuple[str, ...] | None:
    """All symbols of a source that has no others; None for one that is only known when it is read."""
    return {"bundled": BUNDLED, "simulated": config.simulated.names}.get(source)


def _offered(source: Source, config: DataConfig, held: tuple[str, ...], folder: Path) -> str:
    """'A = SP500; B = SP500, NASDAQ': the universes of which the source has every member."""
    told = []
    for name in names_in(folder):
        universe = _of(source, _asked(name, folder), config)
        if universe and not universe.series and set(universe.symbols) <= set(held):
            told.append(f"{name} = {_few(universe.symbols)}")
    return "; ".join(told)


def _few(symbols: tuple[str, ...]) -> str:
    return ", ".join(symbols) if len(symbols) <= 3 else f"{symbols[0]} to {symbols[-1]}"
