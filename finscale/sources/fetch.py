"""The raw series of a data set, from the source that params.yaml names."""

from dataclasses import dataclass, field

import pandas as pd

from finscale.config import Quality, Source
from finscale.errors import InputError
from finscale.sources import bundled, directory
from finscale.sources.config import DataConfig
from finscale.sources.inputs import saved_by_hand
from finscale.sources.store import RawStore
from finscale.sources.tables import COLUMNS, SERVERS, Universe, Wanted, wanted


@dataclass(frozen=True)
class Fetched:
    """One series, and where it came from."""

    wanted: Wanted
    frame: pd.DataFrame
    origin: str  # a file, a package or a server
    retrieved: str = ""  # when, for what a server may revise
    notes: list[str] = field(default_factory=list)


def fetch(
    source: Source, universe: Universe, quality: Quality, config: DataConfig, store: RawStore, holes: int = 0
) -> list[Fetched]:
    """The raw series of a data set, from `config.start` to `config.end`. holes: sessions that prices may lack.

    Raises InputError where the source does not offer a series, cannot be reached, or answers with
    something else than what was asked for. Only `live` uses the store and `holes`.
    """
    if source == "bundled":
        return [_bundled(symbol, config) for symbol in universe.symbols]
    if source == "simulated":
        return _simulated(universe, config)
    if source == "directory":
        return [_directory(series, config) for series in directory.present(config.directory, wanted(universe, quality))]
    return _all_live(wanted(universe, quality), config, store, holes)


def _bundled(symbol: str, config: DataConfig) -> Fetched:
    return Fetched(Wanted(symbol, "prices"), _between(bundled.fetch(symbol), config), bundled.ORIGIN)


def _simulated(universe: Universe, config: DataConfig) -> list[Fetched]:
    from finscale.sources import simulated, simulated_panel  # their laws need SciPy, which takes half a second

    days = simulated.last_sessions(config.start, config.end, config.simulated.sessions)
    frames, origin = simulated_panel.simulate_symbols(config.simulated, days), simulated.origin(config.simulated)
    return [Fetched(Wanted(symbol, "prices"), frames[symbol], origin) for symbol in universe.symbols]


def _directory(series: Wanted, config: DataConfig) -> Fetched:
    frame, path, notes = directory.fetch(config.directory, series)
    return Fetched(series, _checked(_between(frame, config), series, f" in {path}"), path, notes=notes)


def _all_live(series: list[Wanted], config: DataConfig, store: RawStore, holes: int) -> list[Fetched]:
    """Series after series; what has arrived is stored, and not asked for again. One that is refused stops no other, a
    server that no longer answers does."""
    from finscale.sources.client import UnavailableError

    found: list[Fetched] = []
    refused: list[str] = []
    for one in series:
        try:
            found.append(_live(one, config, store, holes))
        except UnavailableError as error:
            refused.append(str(error))
            break
        except InputError as error:
            refused.append(str(error))
    if refused and len(series) > 1:
        refused.append(f"{len(found)} of {len(series)} series are there and stay stored; `dvc repro` asks for the rest")
    if refused:
        raise InputError("\n".join(refused))
    return found


def _live(series: Wanted, config: DataConfig, store: RawStore, holes: int) -> Fetched:
    from finscale.sources import live  # what asks servers is imported where one is asked

    if saved_by_hand(series) and (series.kind == "trends" or directory.has(config.directory, series)):
        return _directory(series, config)
    frame, retrieved, notes = live.fetch(series, config.start, config.end, store, holes)
    return Fetched(series, _checked(_between(frame, config), series), SERVERS[series.kind], retrieved, notes)


def _between(frame: pd.DataFrame, config: DataConfig) -> pd.DataFrame:
    inside = frame["date"].between(pd.Timestamp(config.start), pd.Timestamp(config.end) + pd.Timedelta(hours=23))
    return frame[inside].reset_index(drop=True)


def _checked(frame: pd.DataFrame, series: Wanted, where: str = "") -> pd.DataFrame:
    if frame.empty:
        raise InputError(f"{series.name}: no rows between data.start and data.end{where}; change them in params.yaml")
    return frame[list(COLUMNS[series.kind])]
