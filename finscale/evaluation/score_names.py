"""What a score and its ends are called in metrics and the ledger: test_loss, test_loss_low, test_loss_high."""

from collections.abc import Mapping
from typing import Any

CORRELATIONS = ("ic", "rank_ic")


def bounds(scores: Mapping[str, Mapping[str, Any]], kinds: tuple[str, ...], test: str = "") -> dict[str, float]:
    """<test><kind>, <test><kind>_low, <test><kind>_high. scores: kind -> value, low, high."""
    parts = (("", "value"), ("_low", "low"), ("_high", "high"))
    return {f"{test}{kind}{suffix}": scores[kind][part] for kind in kinds for suffix, part in parts}


def correlations(told: Mapping[str, Any], test: str = "") -> dict[str, float]:
    """IC and rank IC of the model; {} where it has none. told: of metrics/experiment.json, the whole or `unseen`."""
    found = told.get("cross_section", {}).get("models", {}).get("model")
    return bounds(found, CORRELATIONS, test) if found else {}
