"""Indicators: one module per family, the table that names them, and the catalogue that makes the tiers.

    arrays.py       what the families share: bars as arrays, rolling windows, safe ratios
    price.py ...    one module per family, functions (bars, periods) -> values
    transforms.py   lags, changes, z-scores, ranks, powers and products of other features
    table.py        the indicators: family x function x periods, with description, warm-up and tier
    combinations.py what the higher tiers derive from them, by a rule that looks at no data
    catalogue.py    the tiers, and their computation on an asset's bars
    quality.py      features of sentiment, VIX and search interest

Every value on row t uses rows up to and including t only; NaN while warming up. Where a quotient has no
value (a bar without range, a window without volume) the function states the value that stands in.
Prices must be positive, as `validate` makes sure.
"""
