"""What each column of a user's table is taken for; every column is understood, named as ignored, or an error."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from finscale.sources.cells import days, has_decimal_comma, numbers, text_of
from finscale.sources.files import Table
from finscale.sources.spellings import BARS, DATE, LEFT_OUT, SMELL, VALUE, WEEK_END, normal

_LESS_THAN_ONE = 0.5  # Google's '<1' of 100


@dataclass(frozen=True)
class Read:
    """A series in the columns of its kind, and what a reader should know of how it was read."""

    frame: pd.DataFrame
    layout: str
    taken: dict[str, str]  # role: the file's own name of the column
    notes: list[str] = field(default_factory=list)


def read_bars(table: Table, symbol: str, volume: bool = True) -> Read:
    """Daily bars: date, open, high, low, close, adj_close and, where asked for, volume.

    Where the file has no adj_close, close counts as adjusted. Volume is brought to the shares of today where the file
    says how (an adjusted volume, or the ratio of each split).
    """
    names = [_without_symbol(normal(name), symbol) for name in table.names]
    found = _roles(table, names, {"date": DATE} | BARS)
    if "volume" not in found and "tick_volume" in found:
        found["volume"] = found.pop("tick_volume")
    needed = ("open", "high", "low", "close", "volume")[: 5 if volume else 4]
    if absent := [role for role in needed if role not in found]:
        raise table.error(
            f"no column for {', '.join(absent)} among {', '.join(table.names)}",
            "name it so, or add the vendor's name of it to finscale/sources/spellings.py",
        )
    ignored = _ignored(table, names, found)
    frame, layout = _typed(table, found)
    if (bad := frame["close"] < 0).any():
        raise table.error(
            f"row {frame.index[int(np.argmax(bad))]}: a negative price; so CRSP marks a quote on a day without a trade",
            "remove these rows or take another vendor's",
        )
    notes, frame = _adjusted(table, frame, found)
    names_taken = {role: table.names[position] for role, position in found.items()}
    columns = ["date", "open", "high", "low", "close", "adj_close", *(["volume"] if volume else [])]
    return _in_order(Read(frame[columns], layout, names_taken, notes + ignored))


def read_value(table: Table, series: str) -> Read:
    """date and value: of the only other column, or of the one named like the series or `value`."""
    names = [normal(name) for name in table.names]
    found = _roles(table, names, {"date": DATE})
    others = [i for i in range(len(names)) if i != found["date"]]
    named = [i for i in others if names[i] in (normal(series), *VALUE)]
    if len(chosen := others if len(others) == 1 else named) != 1:
        raise table.error(
            f"expected a date and one value, found {', '.join(table.names)}", f"name the column of values `{series}`"
        )
    found["value"] = chosen[0]
    frame, layout = _typed(table, found)
    taken = {role: table.names[position] for role, position in found.items()}
    return _in_order(
        Read(
            frame, layout, taken, _ignored(table, ["" if i in others else name for i, name in enumerate(names)], found)
        )
    )


def read_interest(table: Table, term: str) -> Read:
    """date (a week's first day), week_end and value of one search term, 'stock market: (United States)' included."""
    names = [normal(name.partition(":")[0]) for name in table.names]
    if names[0] in ("month", "day") or "month" in names:
        raise table.error(
            f"has a column {table.names[0]}",
            "export weekly values: at most five years at a time, more than nine months",
        )
    found = _roles(table, names, {"date": DATE, "week_end": WEEK_END, "value": (normal(term),)})
    if "value" not in found:
        raise table.error(
            f"no column for the search term {term!r} among {', '.join(table.names[:10])}", "export that term"
        )
    text = text_of(table.cells[found["value"]])
    below = text.str.replace(" ", "") == "<1"
    table.cells[found["value"]] = text.mask(below, str(_LESS_THAN_ONE))
    frame, layout = _typed(table, found)
    if "week_end" not in found:
        frame["week_end"] = frame["date"] + pd.Timedelta(days=6)
    notes = [f"'<1' in {int(below.sum())} weeks read as {_LESS_THAN_ONE}"] if below.any() else []
    taken = {role: table.names[position] for role, position in found.items()}
    others = len(names) - len(found)
    return _in_order(Read(frame, layout, taken, notes + ([f"ignored: {others} other columns"] if others else [])))


def _without_symbol(name: str, symbol: str) -> str:
    """'close_spy' and 'vix_open' -> 'close' and 'open'."""
    own = normal(symbol)
    return name.removesuffix(f"_{own}").removeprefix(f"{own}_")


def _roles(table: Table, names: list[str], spellings: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """The position of the column that plays each role. Raises InputError where two play one."""
    found: dict[str, int] = {}
    for role, known in spellings.items():
        if role == "date":  # the best of several: 'date' before 'time'
            known = next(((name,) for name in known if name in names), ())
        positions = [i for i, name in enumerate(names) if name in known]
        if len(positions) > 1:
            both = " and ".join(repr(table.names[i]) for i in positions)
            raise table.error(f"columns {both} are both {role}", "remove one")
        if positions:
            found[role] = positions[0]
    if "date" not in found:
        raise table.error(f"no date column among {', '.join(table.names)}", "name the column of days `date`")
    return found


def _ignored(table: Table, names: list[str], found: dict[str, int]) -> list[str]:
    """A note that names what is left out. Raises InputError for a column that may tell of adjustments."""
    left = [i for i in range(len(names)) if i not in found.values()]
    for i in left:
        needs, _ = LEFT_OUT.get(names[i], (None, ""))
        if SMELL.search(names[i]) and (names[i] not in LEFT_OUT or (needs and needs not in found)):
            raise table.error(
                f"column {table.names[i]!r} may tell of adjustments and is not understood",
                "give the adjusted close as adj_close, or remove the column where the prices are adjusted already",
            )
    _no_time_of_day(table, [i for i in left if names[i] == "time"])
    return [f"ignored: {', '.join(table.names[i] for i in left)}"] if left else []


def _no_time_of_day(table: Table, positions: list[int]) -> None:
    for i in positions:
        timed = text_of(table.cells[i]).str.replace(r"[0:. ]", "", regex=True) != ""
        if timed.any() and table.cells[i].nunique() > 1:
            raise table.error(f"column {table.names[i]} has times of day", "give one bar per day")


def _typed(table: Table, found: dict[str, int]) -> tuple[pd.DataFrame, str]:
    """The roles' columns as days and numbers, indexed by the file's rows; and the layout in words."""
    values = {role: i for role, i in found.items() if role not in ("date", "week_end")}
    comma = has_decimal_comma(table, list(values.values()))
    date, form = days(table, found["date"])
    columns = {"date": date} | ({"week_end": days(table, found["week_end"])[0]} if "week_end" in found else {})
    frame = pd.DataFrame(columns | {role: numbers(table, i, comma) for role, i in values.items()})
    return frame, f"{table.layout}, {form}" + (", decimal commas" if comma else "")


def _adjusted(table: Table, frame: pd.DataFrame, found: dict[str, int]) -> tuple[list[str], pd.DataFrame]:
    """With adj_close, and volume in the shares that adj_close is of, and what was done in words."""
    notes = []
    if "adj_close" not in found and "price_divisor" in found:
        frame["adj_close"] = frame["close"] / frame["price_divisor"]
    elif "adj_close" not in found:
        if "split_ratio" in found:
            raise table.error(
                f"{table.names[found['split_ratio']]!r} without an adjusted close",
                "add the adjusted close, as adj_close",
            )
        frame["adj_close"] = frame["close"]
        notes += ["no adjusted close: the close counts as adjusted"] if "volume" in found else []
    if "volume" not in found:
        return notes, frame
    if "adj_volume" in found:
        frame["volume"] = frame["adj_volume"]
        notes.append("volume is the adjusted volume")
    elif "volume_factor" in found:
        frame["volume"] = frame["volume"] * frame["volume_factor"]
        notes.append("volume times cfacshr")
    elif "split_ratio" in found:
        frame["volume"] = frame["volume"] * _later_splits(frame)
        notes.append("volume in the shares after all splits, by their ratios")
    return notes, frame


def _later_splits(frame: pd.DataFrame) -> pd.Series:
    """The product of the ratios of all splits after each day; 0 and 1 mean that there is none."""
    by_day = frame.sort_values("date")
    ratio = by_day["split_ratio"].replace(0, 1).fillna(1)
    return (ratio.iloc[::-1].cumprod().iloc[::-1] / ratio).reindex(frame.index)


def _in_order(read: Read) -> Read:
    """Oldest first where the file has the newest first; any other disorder is left for validation to name."""
    descending = len(read.frame) > 1 and read.frame["date"].is_monotonic_decreasing
    frame = read.frame.iloc[::-1] if descending else read.frame
    notes = [*read.notes, *(["newest first: turned round"] if descending else [])]
    return Read(frame.reset_index(drop=True), read.layout, read.taken, notes)
