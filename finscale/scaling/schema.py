"""The schema of the ledger: what each value of a row may be, and what is wrong with a line that is no row.

Every reader goes through it. A line that was cut, left by a merge or written by something else is set aside and named
with its file, line, key and the way out; the rows around it count.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from finscale.config import ALL
from finscale.identity import SINGLE, check_size
from finscale.scaling.lines import CUT, MARKERS, check_line, split_lines

UNKNOWN = "unknown"  # settings of a row that nothing tells or proves: they equal no other's, today's least of all

_ROUNDING = 1e-9  # a value and its interval are added up in different orders

_MEND = "delete the line: `make collect` writes it again while DVC has the experiment"
_COLLECT = "`make collect` adds what came later"
_CUT = f"{CUT}, {_COLLECT}"

Text = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Loss = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(gt=0)]


class LedgerRow(BaseModel):
    """One finished run. Losses in nats, or squared returns of a regression. Baselines are columns <name>_loss."""

    model_config = ConfigDict(extra="allow")

    key: Text
    source: Text
    assets: Text
    quality: Text
    timescale: Text
    tier: Text
    task: Text
    horizon: Text
    budget: Text
    seed: Count
    params_total: Size
    params_embedding: Count
    params_body: Count
    params_head: Count
    channels: Size
    flops_per_window: Size
    train_flops: Size
    train_windows: Size
    windows_seen: Size
    tokens_seen: Size
    epochs_run: Size
    best_epoch: Size
    validation_loss: Loss
    test_rows: Size
    test_loss: Loss
    test_loss_low: Loss
    test_loss_high: Loss
    test_skill: Number
    test_skill_low: Number
    test_skill_high: Number
    base_rate_loss: Loss
    prediction_std: Loss
    collapsed: bool
    device: Text
    precision: Text
    threads: Size
    torch: Text
    train_seconds: Positive
    windows_per_second: Positive
    name: Text
    commit: Text
    code: Text
    data: Text
    timestamp: AwareDatetime
    # Younger than the first rows.
    test_accuracy: Number | None = None
    test_precision: Number | None = None
    test_recall: Number | None = None
    test_f1: Number | None = None
    train_loss: Loss | None = None
    unique_windows: Size | None = None
    passes: Positive | None = None
    pretrain_windows: Count | None = None
    machine: Text | None = None
    train_symbols: Size | None = None
    test_ic: Number | None = None  # mean over days of the correlation over symbols, where there were enough
    test_ic_low: Number | None = None
    test_ic_high: Number | None = None
    test_rank_ic: Number | None = None
    test_rank_ic_low: Number | None = None
    test_rank_ic_high: Number | None = None
    unseen_symbols: Size | None = None  # the second test, on symbols that never trained
    unseen_rows: Size | None = None
    unseen_loss: Loss | None = None
    unseen_loss_low: Loss | None = None
    unseen_loss_high: Loss | None = None
    unseen_skill: Number | None = None
    unseen_skill_low: Number | None = None
    unseen_skill_high: Number | None = None
    unseen_ic: Number | None = None
    unseen_ic_low: Number | None = None
    unseen_ic_high: Number | None = None
    unseen_rank_ic: Number | None = None
    unseen_rank_ic_low: Number | None = None
    unseen_rank_ic_high: Number | None = None
    symbols: Text = ALL
    history: Text = ALL
    scheme: Text = SINGLE
    settings: Text = UNKNOWN

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "LedgerRow":
        check_size(self.budget, self.params_total)
        for name in ("test_loss", "test_skill"):
            low, value, high = (getattr(self, f"{name}{part}") for part in ("_low", "", "_high"))
            slack = _ROUNDING * max(1.0, abs(value))
            if not low - slack <= value <= high + slack:
                raise ValueError(f"{name} = {value} lies outside its interval, {low} to {high}")
        return self


# Counts that not every row has: a table with gaps would write them as 16.0.
COUNTED = tuple(name for name, one in LedgerRow.model_fields.items() if one.annotation in (Size | None, Count | None))


@dataclass
class Read:
    """rows: what the file holds, as Python values, None for what is absent. faults: what was set aside, in words."""

    columns: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def read_rows(text: str, path: str) -> Read:
    """The rows of a ledger's text, each checked. path: names the file in faults.

    Of rows with one key the first that ran stands, as when a second result is collected: the others are faults unless
    they say the same.
    """
    read = Read()
    if not text:
        read.faults.append(f"{path}: the file is empty; `git checkout` has it whole, {_COLLECT}")
    for number, values, ended in split_lines(text):
        where = f"{path}, line {number}"
        if not read.columns and not (values or [""])[0].startswith(MARKERS):
            read.columns = values
            if missing := [name for name, one in LedgerRow.model_fields.items() if one.is_required()]:
                missing = [name for name in missing if name not in values]
            if missing or not ended:
                lacks = f"it lacks the columns {', '.join(missing)}" if missing else "it has no end"
                read.faults.append(f"{where}: no row can be read, {lacks}; {_CUT}")
                return read
            continue
        try:
            read.rows.append(_row(read.columns, values, ended) | {"where": where})
        except ValueError as error:
            read.faults.append(f"{where}{_name(read.columns, values)}: {error}")
    read.rows = _once(read)
    return read


def check_row(values: dict[str, Any]) -> dict[str, Any]:
    """The row, typed. Raises ValueError that names the columns and values which are not allowed."""
    told = {name: value for name, value in values.items() if value not in ("", None)}
    try:
        row = LedgerRow.model_validate(told)
    except ValidationError as error:
        raise ValueError("; ".join(_words(dict(one)) for one in error.errors()[:3]) + f"; {_MEND}") from None
    losses = {name: _loss(name, told[name]) for name in row.model_extra or {} if name.endswith("_loss")}
    return dict.fromkeys(values) | row.model_dump() | losses | {"timestamp": str(values["timestamp"])}


def _row(columns: list[str], values: list[str], ended: bool) -> dict[str, Any]:
    check_line(values, columns, ended, f"the line is empty; {_MEND}")
    return check_row(dict(zip(columns, values, strict=True)))


def _once(read: Read) -> list[dict[str, Any]]:
    """The rows, in their order, without second ones of a key."""
    kept: dict[str, dict[str, Any]] = {}
    for row in sorted(read.rows, key=lambda row: (moment(row["timestamp"]), _told(row))):
        first = kept.setdefault(row["key"], row)
        if first is not row and _told(first) != _told(row):
            read.faults.append(
                f"{row['where']}, key {row['key']}: another result under the key of {first['where'].split(', ')[-1]}, "
                "which ran first and stands; delete one of them"
            )
    return [row for row in read.rows if kept[row["key"]] is row]


def _told(row: dict[str, Any]) -> list[str]:
    """What a row says, wherever it stands."""
    return sorted(f"{name}={value}" for name, value in row.items() if name != "where")


def moment(timestamp: str) -> datetime:
    """A row's timestamp, which any offset from UTC may be written in."""
    return datetime.fromisoformat(timestamp)


def _name(columns: list[str], values: list[str]) -> str:
    """', key 63b298500ab4cb99 (pilot-1M-s2)' of what the line still says."""
    told = dict(zip(columns, values, strict=False))
    if not values or values[0].startswith(MARKERS):
        return ""
    name = f" ({told['name']})" if told.get("name") and len(values) == len(columns) else ""
    return f", key {told.get('key', '')!s}{name}"


def _loss(name: str, value: Any) -> float:
    try:
        found = float(value)
    except ValueError:
        found = float("nan")
    if not 0 <= found < float("inf"):
        raise ValueError(f"{name} = {value!r} is no loss; {_MEND}")
    return found


def _words(problem: dict[str, Any]) -> str:
    said = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return said
    if problem["type"] == "missing":
        return f"{problem['loc'][0]} is missing"
    return f"{problem['loc'][0]} = {problem['input']!r}: {said[0].lower()}{said[1:]}"
