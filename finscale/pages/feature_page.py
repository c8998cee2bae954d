"""The feature page: families and counts per tier, a correlation map, and drift between the splits.

Drift asks which features leave the range that training has seen: a model has learnt nothing about values out there
(SPEC 12.4). It looks at features and dates alone, never at a label.
"""

from collections.abc import Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from tabulate import tabulate

from finscale.config import FeatureTier
from finscale.data.splits import SPLITS, SplitDates, assign_splits, single_fold
from finscale.errors import InputError
from finscale.indicators.catalogue import COUNTS
from finscale.indicators.feature import Feature

_LATER = ("validation", "test")
_COLOURS = {"validation": "#2563eb", "test": "#dc2626"}
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
        for split in _LATER:
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
        for split in _LATER:
            outside = own[f"outside_{split}"]
            row[f"{split}: rows outside"] = f"{outside.mean():.2%}"
            row[f"{split}: features over {_MUCH:.0%}"] = int((outside > _MUCH).sum())
        told.append(row)
    return told


def page(
    tier: FeatureTier, described: Sequence[Feature], usable: dict[str, Any], table: pd.DataFrame, figures: list[Path]
) -> str:
    """The page as Markdown. usable: per asset rows, first_per_tier or why it is left out (metrics/features.json)."""
    first = [
        {"asset": asset, "rows": told["rows"]} | told["first_per_tier"]
        for asset, told in usable.items()
        if told["rows"]
    ]
    left_out = [told["left_out"] for told in usable.values() if not told["rows"]]
    worst = table.assign(most=table[["outside_validation", "outside_test"]].max(axis=1)).nlargest(15, "most")
    leaving = [
        {"feature": row["feature"], "what it is": row["description"]}
        | {f"outside in {split}": f"{row[f'outside_{split}']:.1%}" for split in _LATER}
        | {f"shift in {split}": f"{row[f'shift_{split}']:+.2f}" for split in _LATER}
        for row in worst.to_dict("records")
    ]
    parts = [
        f"# Features of tier {tier}",
        "## Families",
        _markdown(family_table(tier, described)),
        "## First usable day",
        "Rows before it lack a value of some feature of the tier; they are dropped, never filled.",
        _markdown(first),
        *(f"Left out: {why}." for why in left_out),
        "## Correlation",
        "Training rows of all assets (some 5,000, evenly spaced); features family by family.",
        f"![correlation of the features](../{figures[0]})",
        "## Drift",
        "Rows outside the range of the training rows, and shifts of the mean in training standard deviations.",
        f"![rows outside the training range](../{figures[1]})",
        _markdown(drift_by_family(table)),
        "The features that leave the training range most:",
        _markdown(leaving),
    ]
    return "\n\n".join(parts) + "\n"


def _markdown(rows: list[dict[str, Any]]) -> str:
    return tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)


def plot_correlation(train: np.ndarray, described: Sequence[Feature], path: Path) -> None:
    """Correlation map of the features, family by family. train: (rows, features)."""
    families = list(dict.fromkeys(feature.category for feature in described))
    order = sorted(range(len(described)), key=lambda i: families.index(described[i].category))
    described, train = [described[i] for i in order], train[:, order]
    figure, axes = plt.subplots(figsize=(7.5, 6.6), layout="constrained")
    with np.errstate(invalid="ignore", divide="ignore"):  # a feature that is constant in training has none
        correlation = np.corrcoef(train, rowvar=False)
    shown = axes.imshow(correlation, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    if len(described) <= 60:
        axes.set_yticks(range(len(described)), [feature.name for feature in described], fontsize=6)
    else:  # label the runs of one family that are large enough to be read
        runs = [(name, len(list(own))) for name, own in groupby(feature.category for feature in described)]
        begins = accumulate((length for _, length in runs), initial=0)
        large = [
            (start, name) for start, (name, length) in zip(begins, runs, strict=False) if length > len(described) / 40
        ]
        axes.set_yticks([start for start, _ in large], [name for _, name in large], fontsize=6)
    axes.set_xticks([])
    axes.set(title=f"correlation of {len(described)} features, training rows")
    figure.colorbar(shown, shrink=0.8)
    figure.savefig(path, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)


def plot_drift(table: pd.DataFrame, path: Path) -> None:
    """Share of rows outside the training range, features sorted by it, for validation and test."""
    figure, axes = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    for split in _LATER:
        shares = np.sort(table[f"outside_{split}"].to_numpy())[::-1]
        axes.step(np.arange(1, len(shares) + 1), 100 * shares, where="mid", color=_COLOURS[split], label=split)
    axes.set(
        xscale="log",
        xlabel="features, most outside first",
        ylabel="rows outside, %",
        title="outside the training range",
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)
