"""A user's file as a table of cells: whatever the encoding, the separator, the lines before the header or the suffix.

    CSV or text   UTF-8, with or without a mark, UTF-16, or Windows' western letters; , ; tab or |; gzipped or not
    parquet       dates in a column or in the index; column names of two levels for one symbol
    Excel         .xlsx, the first sheet with a header line that is known

What a file is, its first bytes say; its suffix only says that it is wanted.
"""

import gzip
import io
import re
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import pandas as pd

from finscale.errors import InputError
from finscale.sources.spellings import DATE, normal

_SEPARATORS = (",", ";", "\t", "|")
_HEADER_WITHIN = 30  # lines
_METATRADER = re.compile(r"\d{4}\.\d{2}\.\d{2},\d{2}:\d{2}(,[\d.]+){5}")  # its files have no header
_METATRADER_NAMES = ["date", "time", "open", "high", "low", "close", "tickvol"]


@dataclass(frozen=True)
class Table:
    """Cells by position; the index of `cells` is the file's own line (or row) number, counted from 1."""

    path: Path
    layout: str  # in words
    names: list[str]
    cells: pd.DataFrame
    comma: bool = False  # whether commas separate columns, so that none stands for a decimal point

    def error(self, told: str, remedy: str) -> InputError:
        return InputError(f"{self.path}: {told}; {remedy}")


def read_table(path: Path) -> Table:
    """The table in a file. Raises InputError, naming the file and the remedy, where there is none."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        if content.startswith(b"PAR1"):
            return _parquet(path, content)
        if content.startswith(b"PK\x03\x04"):
            return _excel(path, content)
        return _text(path, _decoded(content))
    except (OSError, EOFError, ValueError, BadZipFile, KeyError) as error:
        raise InputError(f"{path} cannot be read: {_plain(error)}; download it again") from None


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _text(path: Path, text: str) -> Table:
    lines = text.splitlines()
    if re.match(r"\s*<(!doctype|html|\?xml)", text, re.IGNORECASE):
        raise InputError(f"{path}: this is a web page and not a table; download the file again")
    if not any(line.strip() for line in lines):
        raise InputError(f"{path}: the file is empty; download it again")
    if _METATRADER.fullmatch(lines[0].strip()):
        return _cells(path, "MetaTrader, no header", _METATRADER_NAMES, lines, 0, ",")
    for separator in _SEPARATORS:
        for number, line in enumerate(lines[:_HEADER_WITHIN]):
            names = [cell.strip().strip('"').strip() for cell in line.split(separator)]
            if len(names) > 1 and any(normal(name) in DATE for name in names):
                return _headed(path, lines, number, separator)
    first = next(line for line in lines if line.strip())
    raise InputError(
        f"{path}: no line names a column of dates; the first is {first.strip()[:80]!r}; name that column `date`"
    )


def _headed(path: Path, lines: list[str], number: int, separator: str) -> Table:
    names = next(iter(pd.read_csv(io.StringIO(lines[number]), sep=separator, header=None, dtype=str).fillna("").values))
    named = [str(name).strip() for name in names]
    told = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[separator]
    layout = f"text, {told}, header in line {number + 1}"
    if number == 2 and normal(lines[0].split(separator)[0]) == "price" and not any(named[1:]):
        symbols = set(lines[1].split(separator)[1:])
        if len(symbols) > 1:
            raise InputError(
                f"{path}: holds {len(symbols)} symbols, {', '.join(sorted(symbols)[:5])}; save each in its own file"
            )
        named, layout = [named[0], *lines[0].split(separator)[1:]], "text, yfinance's three header lines"
    return _cells(path, layout, named, lines, number + 1, separator)


def _cells(path: Path, layout: str, names: list[str], lines: list[str], begin: int, separator: str) -> Table:
    """Lines from `begin` on as text cells."""
    body = lines[begin:]
    if not any(line.strip() for line in body):
        raise InputError(f"{path}: there is a header and no row below it; download it again")
    try:
        cells = pd.read_csv(
            io.StringIO("\n".join(body)), sep=separator, header=None, names=list(range(len(names))), index_col=False,
            dtype=str, keep_default_na=False, na_values=[], skip_blank_lines=False, skipinitialspace=True,
        )  # fmt: skip
    except pd.errors.ParserError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        where = f"line {begin + int(found[2])} has {found[3]} cells and not {found[1]}" if found else _plain(error)
        raise InputError(f"{path}: {where}; correct the line") from None
    cells.index = pd.RangeIndex(begin + 1, begin + 1 + len(cells))
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    return _trimmed(Table(path, layout, names, cells, comma=separator == ","))


def _trimmed(table: Table) -> Table:
    """Without empty rows and columns without a name and a value."""
    cells = table.cells[(table.cells != "").any(axis=1)]
    kept = [i for i, name in enumerate(table.names) if name or (cells[i] != "").any()]
    names = [table.names[i] or f"column {i + 1}" for i in kept]
    return Table(table.path, table.layout, names, cells[kept].set_axis(range(len(kept)), axis=1), table.comma)


def _parquet(path: Path, content: bytes) -> Table:
    frame = pd.read_parquet(io.BytesIO(content))
    if isinstance(frame.columns, pd.MultiIndex):  # yfinance: price and ticker
        tickers = frame.columns.get_level_values(-1).unique()
        if len(tickers) > 1:
            raise InputError(
                f"{path}: holds {len(tickers)} symbols, {', '.join(map(str, tickers[:5]))}; save each in its own file"
            )
        frame.columns = frame.columns.get_level_values(0)
    layout = "parquet"
    if isinstance(frame.index, pd.DatetimeIndex) or normal(frame.index.name) in DATE:
        frame = frame.rename_axis(frame.index.name or "date").reset_index()
        layout = "parquet, dates in the index"
    return _objects(path, layout, [str(name) for name in frame.columns], frame, first=1)


def _excel(path: Path, content: bytes) -> Table:
    for name, sheet in pd.read_excel(io.BytesIO(content), sheet_name=None, header=None).items():
        for number in range(min(_HEADER_WITHIN, len(sheet))):
            names = [str(cell).strip() if pd.notna(cell) else "" for cell in sheet.iloc[number]]
            if sum(map(bool, names)) > 1 and any(normal(one) in DATE for one in names):
                told = f"Excel, sheet {name!r}, header in row {number + 1}"
                body = sheet.iloc[number + 1 :].infer_objects()
                return _objects(path, told, names, body.dropna(how="all"), first=number + 2, keep_index=True)
    raise InputError(f"{path}: no sheet has a line that names a column of dates; name that column `date`")


def _objects(
    path: Path, layout: str, names: list[str], frame: pd.DataFrame, first: int, keep_index: bool = False
) -> Table:
    if frame.empty:
        raise InputError(f"{path}: there is a header and no row below it; download it again")
    lines = frame.index + 1 if keep_index else pd.RangeIndex(first, first + len(frame))
    return Table(path, layout, names, frame.set_axis(range(len(names)), axis=1).set_axis(lines))


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
