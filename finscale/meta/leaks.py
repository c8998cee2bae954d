"""Rule 5: an input that ranks labels which nobody can know yet better than anything real could, is a leak.

Dates cannot show a label that slipped into a feature. Its relation with the labels does: at the close of day t every
label whose exit lies after t is unknown, not only that of t but those of the days around it, and an input that is one
of them, shifted or with some noise on it, separates it all but perfectly. What this cannot see is a leak that is
weaker than the bound; rules 1 to 4 are there for those.
"""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from finscale.errors import InputError

_FEWEST = 30  # rows without which a ranking says nothing


def check_relations(rows: pd.DataFrame, names: tuple[str, ...], labels: pd.DataFrame, bound: float) -> None:
    """Raise InputError for the inputs whose AUC with a label not yet known lies above `bound`, or below 1 - bound.

    rows: date, asset and the inputs. labels: date, asset, label, exit, every labelled day. Returns of a regression are
    ranked as above or below their median.
    """
    unknown = unknown_labels(rows, labels)
    found = []
    for name in names:
        shift, auc = strongest_relation(rows[name].to_numpy(dtype=float), unknown)
        if auc > bound:
            found.append(f"{name} (AUC {auc:.3f} with the label of {shift:+d} bars)")
    if found:
        raise InputError(
            f"meta: inputs that know a label before its exit: {', '.join(found)}; meta.leak_auc = {bound} is the most "
            "that is believed. Such a relation is a leak, not skill: remove the input or find how the label entered it"
        )


def unknown_labels(rows: pd.DataFrame, labels: pd.DataFrame) -> dict[int, np.ndarray]:
    """Per shift k the label of k bars later, on each row: 0/1, NaN where there is none or its exit is past."""
    tables = []
    for _, own in labels.sort_values("date").groupby("asset"):
        bars = int((own["date"].searchsorted(own["exit"]) - np.arange(len(own))).max())
        shifted = {
            k: own["label"].shift(-k).where(own["exit"].shift(-k) > own["date"]) for k in range(1 - bars, bars + 1)
        }
        tables.append(pd.DataFrame(shifted).assign(date=own["date"], asset=own["asset"]))
    joined = rows[["date", "asset"]].merge(pd.concat(tables), on=["date", "asset"], how="left", validate="one_to_one")
    middle = labels["label"].median()
    cut = 0.5 if set(labels["label"].dropna().unique()) <= {0, 1} else middle
    shifts = [name for name in joined if name not in ("date", "asset")]
    return {k: np.where(joined[k].isna(), np.nan, joined[k] > cut) for k in shifts}


def strongest_relation(values: np.ndarray, unknown: dict[int, np.ndarray]) -> tuple[int, float]:
    """The shift whose labels the input separates best, and how well: AUC in either direction, at least 0.5."""
    best = (0, 0.5)
    for shift, label in unknown.items():
        known = ~np.isnan(label)
        if known.sum() < _FEWEST or len(np.unique(label[known])) < 2:
            continue
        auc = float(roc_auc_score(label[known], values[known]))
        best = max(best, (shift, max(auc, 1 - auc)), key=lambda found: found[1])
    return best
