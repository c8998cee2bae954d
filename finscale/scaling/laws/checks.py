"""What every fit asks of its input: one place, one wording."""

import numpy as np

from finscale.errors import InputError

SAME_SIZE = 1e-3  # sizes nearer to each other than this, relative, are one size: budgets are met within 2 %


def check_confidence(confidence: float) -> float:
    """The confidence as it is; InputError where it is no share, such as 95 for 0.95."""
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence:g} is no share between 0 and 1: 95 % is written 0.95")
    return confidence


def positive(values: np.ndarray, name: str) -> np.ndarray:
    """As floats. Raises InputError for a value that is not positive and finite, with its place."""
    values = np.asarray(values, float)
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        at = ", ".join(map(str, place))
        raise InputError(
            f"a law needs positive, finite {name}, found {values[place]:g} at position {at}: leave out such runs"
        )
    return values


def size_labels(sizes: np.ndarray) -> np.ndarray:
    """(n,) 0, 1, 2, ... from the smallest size up; sizes that differ by less than SAME_SIZE share a label."""
    logs = np.log(positive(sizes, "sizes"))
    order = np.argsort(logs, kind="stable")
    steps = np.diff(logs[order], prepend=logs[order[:1]]) > SAME_SIZE
    labels = np.empty(len(logs), int)
    labels[order] = np.cumsum(steps)
    return labels


def count_sizes(sizes: np.ndarray) -> int:
    return len(set(size_labels(sizes))) if len(sizes) else 0


def largest(sizes: np.ndarray) -> np.ndarray:
    """(n,) which runs are of the largest size."""
    labels = size_labels(sizes)
    return np.asarray(labels == labels.max())
