"""What the series of a data set must satisfy together, each being right by itself (validation.py)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from finscale.data.validation import PRICES, Finding, Rule
from finscale.sources.tables import Kind

_ENDS_EARLY = pd.Timedelta(days=35)  # before prices: longer than any series takes to be published
_SHARED = 0.99  # of days on which two symbols have the same close

_SAME = Rule(
    "the same bars under two names", "error", lambda _: [], "one of the files holds another symbol: download it again"
)
_EARLY = Rule(
    "ends before the prices do", "warning", lambda _: [],
    "days after it are left out of every split: complete the series, or set dataset.split.test_end before its end",
)  # fmt: skip
_LATE = Rule(
    "begins after the prices do",
    "warning",
    lambda _: [],
    "days before it are left out of training: complete the series",
)
_LISTED = Rule(
    "ends before other assets do", "warning", lambda _: [], "right where the asset was delisted; else complete it"
)
TOGETHER = (_SAME, _EARLY, _LATE, _LISTED)


def validate_together(series: dict[str, tuple[Kind, pd.DataFrame]]) -> list[Finding]:
    """Findings that no series shows by itself. series: {name: (kind, raw frame)}."""
    prices = {name: frame for name, (kind, frame) in series.items() if kind == "prices"}
    if not prices:
        return []
    first, last = min(f["date"].min() for f in prices.values()), max(f["date"].max() for f in prices.values())
    found = [Finding(name, _SAME, [other]) for other, name in _alike(prices) if _same(prices[other], prices[name])]
    for name, (kind, frame) in series.items():
        known = frame.dropna()["date"]
        begins, ends = known.min(), known.max()
        if last - ends > _ENDS_EARLY:
            rule = _LISTED if kind == "prices" else _EARLY
            found.append(Finding(name, rule, [f"{ends:%Y-%m-%d}, prices {last:%Y-%m-%d}"]))
        if kind != "prices" and begins - first > _ENDS_EARLY:
            found.append(Finding(name, _LATE, [f"{begins:%Y-%m-%d}, prices {first:%Y-%m-%d}"]))
    return found


def _alike(prices: dict[str, pd.DataFrame]) -> Iterator[tuple[str, str]]:
    """Pairs whose closes are often the same: few, and only these are compared whole."""
    closes = pd.DataFrame(
        {name: frame.drop_duplicates("date").set_index("date")["close"] for name, frame in prices.items()}
    )
    names, values = list(closes), closes.to_numpy()
    for at, name in enumerate(names):
        shared = (values[:, at : at + 1] == values[:, at + 1 :]).sum(axis=0)
        fewest = np.minimum(len(prices[name]), [len(prices[other]) for other in names[at + 1 :]])
        yield from ((name, names[at + 1 + other]) for other in np.flatnonzero(shared > fewest / 4))


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    both = one.merge(other, on="date", suffixes=("", "_other"))
    if len(both) < len(one) / 2:
        return False
    equal = pd.concat([both[name] == both[f"{name}_other"] for name in PRICES], axis=1).all(axis=1)
    return bool(equal.mean() > _SHARED)
