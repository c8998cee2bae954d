"""Losses per day for ledger rows, as `make collect` would have kept them: their means are the ledger's test losses."""

from pathlib import Path

import numpy as np
import pandas as pd

from finscale.scaling.daily import daily_path


def write_days(folder: Path, rows: pd.DataFrame, day_slope: float = 0.0, start: str = "2016-01-04") -> None:
    """One file per row. day_slope: how far the days' own exponents scatter, so that their mean errs by this much."""
    folder.mkdir(parents=True, exist_ok=True)
    generator, logs = np.random.default_rng(0), np.log(rows["params_total"].to_numpy(float))
    days = int(rows["test_rows"].iloc[0])
    common, tilt = generator.normal(size=(2, days)) * [[0.4], [day_slope * np.sqrt(days)]]
    for row, x in zip(rows.to_dict("records"), logs - logs.mean(), strict=True):
        shape = 1 + common - tilt * x + 0.02 * generator.normal(size=days)
        model, base = (
            row["test_loss"] * shape / shape.mean(),
            row["base_rate_loss"] * (1 + common) / (1 + common.mean()),
        )
        told = {"date": pd.bdate_range(start, periods=days), "rows": 1, "model": model, "model_raw": model}
        rivals = {name: row[f"{name}_loss"] * (1 + common) / (1 + common.mean()) for name in ("volatility", "catboost")}
        losses = pd.DataFrame(told | {"base_rate": base} | rivals)
        losses.dropna(axis=1).to_parquet(daily_path(folder, row["key"]))
