"""Which unknowns of a law are free: exponents may be fixed, or tied to one another.

Few runs cannot tell two exponents apart. Gadre et al. (2024, arXiv:2403.08540) tie them and fit five runs; others take
one from an earlier study. Both are affine: theta = matrix @ free + offset.

Shapes: K sizes, P = 1 + 2 K unknowns in the order e, a_1, alpha_1, a_2, ...; Q free ones; R problems; n runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from finscale.errors import InputError

# None: free. A number: fixed at it. A name: one exponent for all sizes with that name.
Exponents = Sequence[float | str | None]
Status = Literal["converged", "at a bound", "unidentified"]

_COLLINEAR = 1e-3  # 1 - r^2 of two log sizes below this: their terms cannot be told apart
_SINGULAR = 1e-7  # smallest singular value of the Jacobian with columns of length 1
_NO_FLOOR = 1e-3  # an irreducible loss below this share of the lowest loss is none
_STEP = 5.0  # an exponent beyond this is a step at one size
_TOLD_FROM_ZERO = 2.0  # standard errors
_LEAST_SCATTER = 1e-9  # of log loss: an exact fit has only rounding


@dataclass(frozen=True)
class Unknowns:
    """theta = matrix (P, Q) @ free (Q,) + offset (P,); first: (Q,) where in theta each free one stands."""

    matrix: np.ndarray
    offset: np.ndarray
    first: np.ndarray

    def expand(self, free_RQ: np.ndarray) -> np.ndarray:
        return np.asarray(free_RQ @ self.matrix.T + self.offset)

    def reduce(self, theta_RP: np.ndarray) -> np.ndarray:
        return np.asarray(theta_RP[..., self.first])

    @property
    def count(self) -> int:
        return len(self.first)


def unknowns_of(exponents: Exponents | None, sizes: int) -> Unknowns:
    """Raises InputError where there is not one entry per size."""
    told = [None] * sizes if exponents is None else list(exponents)
    if len(told) != sizes:
        raise InputError(f"{len(told)} exponents for a law with {sizes} sizes: one per size, None where it is free")
    columns: dict[str, list[int]] = {"e": [0]}
    offset = np.zeros(1 + 2 * sizes)
    for k, one in enumerate(told):
        columns[f"a{k}"] = [1 + 2 * k]
        if isinstance(one, int | float):
            offset[2 + 2 * k] = one
        else:
            columns.setdefault(f"alpha{k}" if one is None else f"tied {one}", []).append(2 + 2 * k)
    matrix = np.zeros((len(offset), len(columns)))
    for q, places in enumerate(columns.values()):
        matrix[places, q] = 1.0
    return Unknowns(matrix, offset, np.array([places[0] for places in columns.values()]))


def status_of(
    theta: np.ndarray, jacobian_nP: np.ndarray, residual: np.ndarray, x_nK: np.ndarray, unknowns: Unknowns, floor: float
) -> Status:
    """What a fit has established.

    unidentified: two sizes that move together, a direction in which nothing changes, or a free exponent that is within
    two standard errors of zero (the law could be level). at a bound: no irreducible loss, or an exponent so steep that
    it is a step. floor: irreducible over lowest loss. residual: (n,) of log loss.
    """
    free_exponents = [q for q, place in enumerate(unknowns.first) if place and place % 2 == 0]
    if _move_together(x_nK):
        return "unidentified"
    jacobian = jacobian_nP @ unknowns.matrix
    no_floor = floor < _NO_FLOOR
    kept = [q for q in range(unknowns.count) if not (no_floor and q == 0)]
    length = np.linalg.norm(jacobian[:, kept], axis=0)
    if (length == 0).any() or np.linalg.svd(jacobian[:, kept] / length, compute_uv=False)[-1] < _SINGULAR:
        return "unidentified"
    spare = max(len(residual) - len(kept), 1)
    scatter = max(_scale(residual) * np.sqrt(len(residual) / spare), _LEAST_SCATTER)
    errors = scatter * np.sqrt(np.diag(np.linalg.inv(jacobian[:, kept].T @ jacobian[:, kept])))
    free = unknowns.reduce(theta)
    if any(abs(free[q]) < _TOLD_FROM_ZERO * errors[kept.index(q)] for q in free_exponents):
        return "unidentified"
    steep = any(abs(free[q]) > _STEP for q in free_exponents)
    return "at a bound" if no_floor or steep else "converged"


def _move_together(x_nK: np.ndarray) -> bool:
    if x_nK.shape[1] < 2:
        return False
    correlation = np.corrcoef(x_nK.T)[np.triu_indices(x_nK.shape[1], 1)]
    return bool((1 - correlation**2 < _COLLINEAR).any())


def _scale(residual: np.ndarray) -> float:
    """Root mean square or, where a few runs lie far off, the scaled median (Hampel 1974): the smaller."""
    return float(min(np.sqrt(np.mean(residual**2)), 1.4826 * np.median(np.abs(residual)) + _LEAST_SCATTER))
