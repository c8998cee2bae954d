"""Which symbols of a universe train, which are kept unseen, and how far back training reaches.

The symbols stand in one order that a seed decides: by the hash of seed and name, so that it depends neither on how many
are wanted nor on which others there are. Those that train are taken from its head: 16 hold the 4. Those that never
train are taken from its tail, however many train. Only symbols with a training row are drawn; one that is listed later
is in no split of the fold.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from finscale.data.config import UniverseConfig
from finscale.data.splits import UNSEEN, UNUSED, Fold
from finscale.errors import InputError


@dataclass(frozen=True)
class Selection:
    """Symbols of one fold, in the order of the draw. late: without a training row, and in no split."""

    trained: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    late: tuple[str, ...] = ()


def drawn(symbols: Iterable[str], seed: int) -> list[str]:
    """Symbols in the order in which they are drawn."""
    return sorted(symbols, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())


def select(joined: pd.DataFrame, fold: Fold, config: UniverseConfig, symbols: int | None, reserve: int) -> Selection:
    """The symbols of a fold. joined: of dataset.join. symbols: how many train; None: all but the unseen.

    Raises InputError where fewer can train.
    """
    period = fold.periods["train"]
    trains = joined["date"].between(period.first, period.last) & (joined["exit"] <= period.last_exit)
    trains &= joined.groupby("asset").cumcount() >= reserve - 1
    able = set(joined.loc[trains, "asset"])
    order = drawn(able, config.draw)
    kept = max(1, round(config.unseen * len(order))) if config.unseen and order else 0
    there = order[: len(order) - kept]
    if (symbols or 1) > len(there) and order:
        unseen = f", and {kept} are kept unseen (universe.unseen = {config.unseen})" if kept else ""
        raise InputError(
            f"params.yaml: symbols = {symbols or 'all'}, but {len(order)} symbols of the universe have training "
            f"rows{unseen}; at most {len(there)}"
        )
    late = drawn(set(joined["asset"]) - able, config.draw)
    return Selection(tuple(there[:symbols]), tuple(order[len(order) - kept :]), tuple(late))


def shortened(fold: Fold, history: int | None) -> Fold:
    """The fold with `history` years of training, the last ones before training ends; None: all there are."""
    if history is None:
        return fold
    train = fold.periods["train"]
    first = max(train.first, train.last - pd.DateOffset(years=history) + pd.Timedelta(days=1))
    return replace(fold, periods={**fold.periods, "train": replace(train, first=first)})


def apply(rows: pd.DataFrame, chosen: Selection, reserve: int) -> pd.DataFrame:
    """The rows of split_rows that are left of a selection: unseen symbols in UNSEEN alone, with the context they need.

    A symbol of which the shortened training period has no row is left out as well.
    """
    trained = set(chosen.trained) & set(rows.loc[rows["split"] == "train", "asset"])
    never = rows["asset"].isin(chosen.unseen)
    split = rows["split"].where(~never, np.where(rows["split"] == "test", UNSEEN, UNUSED))
    label = rows["label"].where(~never | (split == UNSEEN))
    rows = rows.assign(split=split, label=label)
    needed = never & (_rows_to_come(rows) < reserve)
    return rows[needed | rows["asset"].isin(trained)].reset_index(drop=True)


def _rows_to_come(rows: pd.DataFrame) -> np.ndarray:
    """How many rows come until its asset's first one in UNSEEN; 0 from there on, infinity where none does."""
    at = rows.groupby("asset").cumcount()
    first = at.where(rows["split"] == UNSEEN).groupby(rows["asset"]).transform("min")
    return np.asarray((first.fillna(np.inf) - at).clip(lower=0))
