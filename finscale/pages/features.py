"""The feature page: families and counts per tier, and drift between the splits.

Drift asks which features leave the range that training has seen: a model has learnt nothing about values out there
(SPEC 12.4). It looks at features and dates alone, never at a label.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finscale.config import FeatureTier
from finscale.data.config import SplitDates
from finscale.data.splits import SPLITS, assign_splits, single_fold
from finscale.errors import InputError
from finscale.indicators.catalogue import COUNTS
from finscale.indicators.feature import Feature
from finscale.pages.many import usable_rows
from finscale.pages.render import render

LATER = ("validation", "test")
_MUCH = 0.05  # a share of rows outside the training range that the page points out


def split_masks(dates: pd.Series, ends: SplitDates) -> dict[str, np.ndarray]:
    """Which rows belong to each split, by date alone. Raises InputError where a split has none."""
    assigned = assign_splits(dates, dates, single_fold(ends))
    masks = {str(split): assigned == split for split in SPLITS}
    empty = [split for split, own in masks.items() if not own.any()]
    if empty:
        raise InputError(f"feature report: no rows in {', '.join(empty)}; move the split dates in params.yaml")
    return masks


def drift(features: pd.DataFrame, ends: SplitDates, described: Sequence[Feature]) -> pd.DataFrame:
    """One row per feature: what it is, and for validation and test the share of rows outside the training range
    and the shift of the mean in training standard deviations.

    features: date, asset and one column per feature, all assets together.
    """
    masks = split_masks(features["date"], ends)
    told = []
    for feature in described:
        values = features[feature.name].to_numpy()
        train = values[masks["train"]]
        low, high, mean, std = train.min(), train.max(), train.mean(), train.std()
        row: dict[str, Any] = {"feature": feature.name, "category": feature.category}
        row |= {"description": feature.description, "warm_up": feature.warm_up}
        for split in LATER:
            own = values[masks[split]]
            row[f"outside_{split}"] = round(float(((own < low) | (own > high)).mean()), 6)
            row[f"shift_{split}"] = round(float((own.mean() - mean) / std), 4) if std > 0 else None
        told.append(row)
    return pd.DataFrame(told)


def training_sample(features: pd.DataFrame, ends: SplitDates, at_most: int = 5000) -> np.ndarray:
    """Evenly spaced training rows, enough for correlations: float array of shape (rows, features)."""
    rows = np.flatnonzero(split_masks(features["date"], ends)["train"])
    chosen = rows[:: max(len(rows) // at_most, 1)]
    return features.iloc[chosen].drop(columns=["date", "asset"]).to_numpy()


def family_table(tier: FeatureTier, described: Sequence[Feature]) -> list[dict[str, Any]]:
    """Features per category, for the tier and those below it; what comes on top of the tier has a column of its own."""
    tiers: dict[str, list[str]] = {
        name: [f.category for f in described[:count]] for name, count in COUNTS.items() if count <= COUNTS[tier]
    }
    if len(described) > COUNTS[tier]:
        tiers["on top"] = [feature.category for feature in described[COUNTS[tier] :]]
    categories = list(dict.fromkeys(feature.category for feature in described))
    counts = [{"family": name} | {key: own.count(name) for key, own in tiers.items()} for name in categories]
    return [*counts, {"family": "all"} | {key: len(own) for key, own in tiers.items()}]


def drift_by_family(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Per category and split: the mean share of rows outside the training range, and the features often outside."""
    told = []
    for category, own in table.groupby("category", sort=False):
        row: dict[str, Any] = {"family": category, "features": len(own)}
        for split in LATER:
            outside = own[f"outside_{split}"]
            row[f"{split}: rows outside"] = f"{outside.mean():.2%}"
            row[f"{split}: features over {_MUCH:.0%}"] = int((outside > _MUCH).sum())
        told.append(row)
    return told


def page(
    tier: FeatureTier, described: Sequence[Feature], usable: dict[str, Any], table: pd.DataFrame, figures: list[Path]
) -> str:
    """The page as Markdown. usable: per asset rows, first_per_tier or why it is left out."""
    first = usable_rows({asset: told for asset, told in usable.items() if told["rows"]})
    left_out = [told["left_out"] for told in usable.values() if not told["rows"]]
    worst = table.assign(most=table[["outside_validation", "outside_test"]].max(axis=1)).nlargest(15, "most")
    leaving = [
        {"feature": row["feature"], "what it is": row["description"]}
        | {f"outside in {split}": f"{row[f'outside_{split}']:.1%}" for split in LATER}
        | {f"shift in {split}": f"{row[f'shift_{split}']:+.2f}" for split in LATER}
        for row in worst.to_dict("records")
    ]
    return render(
        "features.md.j2",
        tier=tier,
        families=family_table(tier, described),
        first=first,
        left_out=left_out,
        correlation=figures[0],
        drift=figures[1],
        by_family=drift_by_family(table),
        leaving=leaving,
    )
