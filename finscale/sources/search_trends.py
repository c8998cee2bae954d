"""Google Trends: weekly search interest from Google's own export files, each relative to its own maximum.

Google states each export's values relative to the largest in it (100), weekly for up to five years. Longer histories
are exported in windows that share a year, and each is brought to the scale of the one before it by the ratio of the
sums in that year. Values are sampled: another day's export differs a little.
"""

import numpy as np
import pandas as pd

from finscale.errors import InputError

TERM = "stock market"  # neutral; chosen by no data

_SHARED = 26  # weeks
_AGREEMENT = 0.8  # correlation of two windows in the year they share, below which no ratio is honest


def join_exports(exports: list[pd.DataFrame]) -> pd.DataFrame:
    """date, week_end, value of all exports on one scale, that of the earliest.

    Raises InputError where two neighbours share no half year, or do not agree in it.
    """
    first, *others = sorted(exports, key=lambda export: export["date"].min())
    joined = first
    for export in others:
        both = joined.merge(export, on="date", suffixes=("_old", "_new"))
        old, new = both["value_old"].to_numpy(dtype=float), both["value_new"].to_numpy(dtype=float)
        usable = len(both) >= _SHARED and old.sum() > 0 and new.sum() > 0 and old.std() > 0 and new.std() > 0
        if not usable or np.corrcoef(old, new)[0, 1] < _AGREEMENT:
            raise InputError(
                f"Google Trends, {TERM!r}: the exports around {export['date'].min():%Y-%m-%d} do not agree in the "
                f"{len(both)} weeks they share: no common scale; export windows that share a year, all on one day"
            )
        later = export[export["date"] > joined["date"].max()]
        joined = pd.concat([joined, later.assign(value=later["value"] * (old.sum() / new.sum()))], ignore_index=True)
    return joined
