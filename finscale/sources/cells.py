"""Cells as vendors write them: days and numbers. Every error names the file, the row, the column and the cell."""

import re

import numpy as np
import pandas as pd

from finscale.calendar import TIME_ZONE
from finscale.sources.files import Table
from finscale.sources.spellings import MISSING

_UNITS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_EPOCH = {9: "s", 10: "s", 12: "ms", 13: "ms", 16: "us", 19: "ns"}  # digits of a Unix time and its unit
_DAY = {
    r"\d{4}-\d{1,2}-\d{1,2}": "%Y-%m-%d", r"\d{4}/\d{1,2}/\d{1,2}": "%Y/%m/%d", r"\d{4}\.\d{1,2}\.\d{1,2}": "%Y.%m.%d",
    r"(19|20)\d{6}": "%Y%m%d", r"[A-Za-z]{3} \d{1,2}, \d{4}": "%b %d, %Y", r"[A-Za-z]{4,9} \d{1,2}, \d{4}": "%B %d, %Y",
    r"\d{1,2}-[A-Za-z]{3}-\d{4}": "%d-%b-%Y", r"\d{1,2}-[A-Za-z]{3}-\d{2}": "%d-%b-%y",
    r"\d{1,2} [A-Za-z]{3} \d{4}": "%d %b %Y", r"\d{1,2} [A-Za-z]{4,9} \d{4}": "%d %B %Y",
}  # fmt: skip
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)? ?(Z|[+-]\d{2}:?\d{2})?")
_ZONED = re.compile(r".*(Z|[+-]\d{2}:?\d{2})")
_SLASHED = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")


def days(table: Table, position: int) -> tuple[pd.Series, str]:
    """A column's days, without a time of day, and how they were written.

    A moment of a time zone is the day that it is in New York; midnight in UTC is that day. Raises InputError for a
    blank or unknown cell, for a day and month that could be either, and for a time of day without a zone.
    """
    cells = table.cells[position]
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        return _local(cells.dt.tz_convert("UTC")), "times with a zone"
    if pd.api.types.is_datetime64_any_dtype(cells):
        _all_known(table, position, cells, cells.isna())
        return cells.astype("datetime64[ns]"), "dates"
    text = text_of(cells)
    _all_known(table, position, text, text.str.lower().isin(MISSING))
    for pattern, form in _DAY.items():
        if text.str.fullmatch(pattern).all():
            return _parsed(table, position, text, form), _shown(form)
    if text.str.fullmatch(_STAMP).all():
        return _stamps(table, position, text)
    if text.str.fullmatch(_SLASHED).all():
        return _slashed(table, position, text)
    if text.str.fullmatch(r"-?\d+").all():
        return _numbered(table, position, text)
    if text.str.fullmatch(r"\d{4}-\d{2}").all():
        raise table.error(f"column {table.names[position]} has months", "download daily or weekly values")
    raise _bad(table, position, text, ~_in_the_usual_form(text), "is no date that is known here")


def _in_the_usual_form(text: pd.Series) -> pd.Series:
    """Which cells are written as most are; none where no form is known."""
    forms = [text.str.fullmatch(pattern) for pattern in (*_DAY, _STAMP, _SLASHED)]
    return max(forms, key=lambda form: form.sum())


def text_of(cells: pd.Series) -> pd.Series:
    """Cells as text; dates and whole numbers of a spreadsheet as they would be typed."""
    return cells if isinstance(cells.dtype, pd.StringDtype) else cells.map(_as_text).astype("str")


def _as_text(cell: object) -> str:
    if isinstance(cell, pd.Timestamp):
        return f"{cell:%Y-%m-%d}" if cell == cell.normalize() else f"{cell:%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, float | int) and cell == cell and float(cell).is_integer():
        return str(int(cell))
    return "" if cell is None or cell != cell else str(cell).strip()


def _all_known(table: Table, position: int, cells: pd.Series, blank: pd.Series) -> None:
    if blank.any():
        raise _bad(table, position, cells, blank, "is no date")


def _bad(table: Table, position: int, cells: pd.Series, mask: pd.Series, told: str) -> Exception:
    row = int(np.argmax(mask.to_numpy()))
    more = f" (and {int(mask.sum()) - 1} more rows)" if mask.sum() > 1 else ""
    return table.error(
        f"row {cells.index[row]}, column {table.names[position]}: {str(cells.iloc[row])!r} {told}{more}",
        "write it as 2024-12-31, or remove the row" if "date" in told else "correct the cell, or remove the row",
    )


def _parsed(table: Table, position: int, text: pd.Series, form: str) -> pd.Series:
    read = pd.to_datetime(text, format=form, errors="coerce")
    if read.isna().any():
        raise _bad(table, position, text, read.isna(), "is no date")
    return read.astype("datetime64[ns]")


def _shown(form: str) -> str:
    for code, word in {"%Y": "yyyy", "%m": "mm", "%d": "dd", "%b": "Mon", "%B": "Month", "%y": "yy"}.items():
        form = form.replace(code, word)
    return form


def _stamps(table: Table, position: int, text: pd.Series) -> tuple[pd.Series, str]:
    zoned = text.str.fullmatch(_ZONED)
    if zoned.all():
        read = pd.to_datetime(
            text.str.replace(" ", "T", n=1).str.replace(" ", ""), utc=True, format="ISO8601", errors="coerce"
        )
        if read.isna().any():
            raise _bad(table, position, text, read.isna(), "is no date")
        return _local(read), "times with a zone"
    if zoned.any():
        raise _bad(table, position, text, ~zoned, "has no time zone, and others have: no date that is certain")
    read = pd.to_datetime(text, format="ISO8601", errors="coerce")
    if (bad := read.isna() | (read != read.dt.normalize())).any():
        raise _bad(table, position, text, bad, "has a time of day and no zone: no date that is certain")
    return read.astype("datetime64[ns]"), "yyyy-mm-dd 00:00"


def _local(utc: pd.Series) -> pd.Series:
    """The days of moments: in New York, unless all are midnight in UTC."""
    if (utc == utc.dt.normalize()).all():
        return utc.dt.tz_localize(None).astype("datetime64[ns]")
    return utc.dt.tz_convert(TIME_ZONE).dt.tz_localize(None).dt.normalize().astype("datetime64[ns]")


def _slashed(table: Table, position: int, text: pd.Series) -> tuple[pd.Series, str]:
    parts = text.str.extract(_SLASHED)
    first, second = parts[0].astype(int), parts[1].astype(int)
    if (first > 12).any() and (second > 12).any():
        raise _bad(
            table,
            position,
            text,
            (first > 12) & (second <= 12),
            "is day/month and other rows are month/day: no date is certain",
        )
    if not (first > 12).any() and not (second > 12).any():
        raise _bad(table, position, text, first != second if (first != second).any() else first > 0,
                   "may be day/month or month/day: no date is certain")  # fmt: skip
    day, month = (first, second) if (first > 12).any() else (second, first)
    iso = parts[2] + "-" + month.astype(str) + "-" + day.astype(str)
    told = "dd/mm/yyyy" if (first > 12).any() else "mm/dd/yyyy"
    return _parsed(table, position, iso, "%Y-%m-%d"), told


def _numbered(table: Table, position: int, text: pd.Series) -> tuple[pd.Series, str]:
    """Unix time, by its number of digits, or Excel's day numbers."""
    digits = text.str.len().max()
    if digits == 5:
        read = pd.Timestamp("1899-12-30") + pd.to_timedelta(text.astype(int), unit="D")
        return read.astype("datetime64[ns]"), "Excel's day numbers"
    if digits not in _EPOCH or (text.str.len() < digits - 1).any():
        raise _bad(table, position, text, pd.Series(True, text.index), "is a number and no date that is known here")
    unit = _EPOCH[digits]
    return _local(pd.to_datetime(text.astype("int64"), unit=unit, utc=True)), f"Unix time ({unit})"


def numbers(table: Table, position: int, decimal_comma: bool) -> pd.Series:
    """A column's numbers: with $ or %, thousands, K, M or B, or a decimal comma; NaN where the cell is empty."""
    cells = table.cells[position]
    if pd.api.types.is_numeric_dtype(cells):
        return cells.astype(float)
    text = text_of(cells)
    plain = pd.to_numeric(text, errors="coerce")
    rest = plain.isna() & ~text.str.lower().isin(MISSING)
    if rest.any() or decimal_comma:
        plain[rest | decimal_comma] = text[rest | decimal_comma].map(lambda cell: _number(cell, decimal_comma))
        if (bad := plain.isna() & ~text.str.lower().isin(MISSING)).any():
            raise _bad(table, position, text, bad, "is no number")
    return plain.astype(float)


def _number(cell: str, decimal_comma: bool) -> float:
    text = cell.replace("$", "").replace("%", "").replace("\u00a0", "").replace(" ", "")
    unit = _UNITS.get(text[-1:].upper(), 1.0)
    text = text[:-1] if unit > 1 else text
    if decimal_comma:
        text = text.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    try:
        return float(text) * unit
    except ValueError:
        return float("nan")


def has_decimal_comma(table: Table, positions: list[int]) -> bool:
    """Whether the file's numbers have commas for decimal points: '50,25', or '1.234,5'."""
    columns = [table.cells[i] for i in positions if not pd.api.types.is_numeric_dtype(table.cells[i])]
    text = [cells for column in columns if (cells := text_of(column)).str.contains(",", regex=False).any()]
    commas = r"-?(\d{1,3}(\.\d{3})+|\d+),\d{1,2}" if table.comma else r"-?(\d{1,3}(\.\d{3})+|\d+),\d+"
    points = r"-?(\d{1,3}(,\d{3})+|\d+)\.(\d{1,2}|\d{4,})"
    return any(cells.str.fullmatch(commas).any() for cells in text) and not any(
        cells.str.fullmatch(points).any() for cells in text
    )
