"""bundled: the daily S&P 500 and NASDAQ Composite (1999-2018) that the arch package ships.

Real prices with no network and no account. Index levels: there are no splits or dividends, so
adj_close equals close. The S&P 500 stands in for SPY, the NASDAQ Composite for QQQ.
"""

import importlib
from importlib.metadata import version

import pandas as pd

from finscale.config import AssetTier, Quality
from finscale.errors import InputError

ASSET_TIERS: dict[AssetTier, tuple[str, ...]] = {"A": ("SP500",), "B": ("SP500", "NASDAQ")}
ORIGIN = f"arch {version('arch')}"

_MODULES = {"SP500": "arch.data.sp500", "NASDAQ": "arch.data.nasdaq"}


def symbols(assets: AssetTier, quality: Quality) -> tuple[str, ...]:
    """The series of a tier. Raises InputError for a tier or quality that only other sources have."""
    if assets not in ASSET_TIERS:
        offered = "; ".join(f"{tier} = {', '.join(names)}" for tier, names in ASSET_TIERS.items())
        raise InputError(f"params.yaml: assets = {assets} is not offered by source bundled, which has {offered}")
    if quality != "a":
        raise InputError(
            f"params.yaml: quality = {quality} is not offered by source bundled, which has prices alone (a); "
            "use source live or directory"
        )
    return ASSET_TIERS[assets]


def fetch(symbol: str) -> pd.DataFrame:
    """One index as published: date, open, high, low, close, adj_close, volume (shares)."""
    published = importlib.import_module(_MODULES[symbol]).load()
    frame = published.rename_axis("date").reset_index()
    return frame.rename(columns=lambda name: name.lower().replace(" ", "_"))
