"""What a fitted loss law foretells: an interval for a run that has not been made, and the corner that was held out."""

from dataclasses import dataclass

import numpy as np

from finscale.errors import InputError
from finscale.scaling.laws.checks import positive, size_labels
from finscale.scaling.laws.resampling import expanded_interval
from finscale.scaling.laws.surface import LEAST_SQUARES, LossLaw, fit_loss_law
from finscale.scaling.laws.unknowns import Exponents


@dataclass(frozen=True)
class HeldOut:
    """The runs largest in every size, foretold from all others.

    error: log of foretold over measured mean loss. noise: standard error of the measured mean over seeds, None for one
    run of a law without repeated runs. law: fitted without them.
    """

    sizes: tuple[float, ...]
    runs: int
    error: float
    noise: float | None
    law: LossLaw


def prediction_interval(
    law: LossLaw,
    resampled: np.ndarray,
    sizes: np.ndarray,
    losses: np.ndarray,
    asked: np.ndarray,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of one new run's loss at each asked size, (m,) each.

    The law's own uncertainty is in `resampled` (R, P), from surface.bootstrap_loss_law; to each resample the relative
    scatter of one run is added, drawn from the residuals (Davison and Hinkley 1997, algorithm 6.4). sizes, losses: what
    the law was fitted to. asked: (m,) or (m, K). Assumes the same relative scatter at all sizes, and the same test
    days.
    """
    fitted, asked = _columns(sizes), _columns(asked)
    residuals = np.log(losses / law(*fitted.T))
    residuals -= residuals.mean()
    terms = [
        resampled[:, [k]] * asked[:, (k - 1) // 2] ** -resampled[:, [k + 1]] for k in range(1, resampled.shape[1], 2)
    ]
    curves = resampled[:, :1] + sum(terms)
    noise = np.random.default_rng(seed).choice(residuals, size=curves.shape)
    drawn = np.log(curves / law(*asked.T)) + noise
    low, high = expanded_interval(drawn, len(losses), resampled.shape[1], confidence)
    return law(*asked.T) * np.exp(low), law(*asked.T) * np.exp(high)


def corner_forecast(sizes: np.ndarray, losses: np.ndarray, exponents: Exponents | None = None) -> HeldOut:
    """The largest (N, D) corner, foretold by least squares from all other runs.

    sizes: (n, K). Raises InputError where no run is largest in every size, or too few are left.
    """
    sizes, losses = positive(_columns(sizes), "sizes"), positive(losses, "losses")
    labels = np.column_stack([size_labels(column) for column in sizes.T])
    corner = (labels == labels.max(axis=0)).all(axis=1)
    if not corner.any():
        raise InputError("no run is largest in every size: the corner of the grid was not run")
    law = fit_loss_law(sizes[~corner], losses[~corner], LEAST_SQUARES, exponents)
    largest = sizes[corner][0]
    error = float(np.log(law(*largest)) - np.log(losses[corner]).mean())
    scatter = repeated_scatter(labels, np.log(losses))
    noise = None if scatter is None else scatter / np.sqrt(corner.sum())
    return HeldOut(tuple(map(float, largest)), int(corner.sum()), error, noise, law)


def repeated_scatter(labels: np.ndarray, y: np.ndarray) -> float | None:
    """Standard deviation of y between runs that have the same labels (n,) or (n, K); None where none were repeated."""
    _, group = np.unique(labels, axis=0, return_inverse=True)
    group = group.ravel()
    spare = len(y) - (group.max() + 1)
    if spare < 1:
        return None
    means = np.bincount(group, y) / np.bincount(group)
    return float(np.sqrt(((y - means[group]) ** 2).sum() / spare))


def _columns(sizes: np.ndarray) -> np.ndarray:
    sizes = np.asarray(sizes, float)
    return sizes[:, None] if sizes.ndim == 1 else sizes
