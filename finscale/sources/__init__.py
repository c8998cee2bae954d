"""Where prices come from: one module per source, one table of what each offers.

A source returns one frame per asset with the columns of `RAW_COLUMNS`, exactly as published;
validation judges them and nothing here repairs them.
"""

import pandas as pd

from finscale.config import AssetTier, Source
from finscale.errors import InputError
from finscale.sources import bundled

RAW_COLUMNS = ("date", "open", "high", "low", "close", "adj_close", "volume")

_SOURCES = {"bundled": bundled}


def fetch(source: Source, assets: AssetTier) -> dict[str, pd.DataFrame]:
    """The raw daily series of an asset tier, {symbol: frame with RAW_COLUMNS}.

    Raises InputError where the source does not offer the tier.
    """
    module = _SOURCES[source]
    if assets not in module.ASSET_TIERS:
        offered = "; ".join(f"{tier} = {', '.join(names)}" for tier, names in module.ASSET_TIERS.items())
        raise InputError(f"params.yaml: assets = {assets} is not offered by source {source}, which has {offered}")
    return {symbol: module.fetch(symbol) for symbol in module.ASSET_TIERS[assets]}
