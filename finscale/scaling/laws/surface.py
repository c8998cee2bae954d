"""Loss laws with an irreducible part: L = E + sum_k A_k x_k^-alpha_k, for sizes x_k such as parameters N and tokens D.

Hoffmann et al. 2022 (arXiv:2203.15556, eq. 2 and appendix D.2) in the form of Besiroglu et al. 2024
(arXiv:2404.10102): log L = logsumexp(e, a_k - alpha_k log x_k), fitted by the mean Huber loss of the residuals of
log loss, so that E and A_k are positive and outliers count linearly. (Hoffmann et al. took the sum in words and, it
seems, the mean in fact, and stopped too early; the minimum is the same for both where the fit converges.)
Exponents can be fixed or tied (unknowns.py), and every fit has a status.

Shapes: n runs, K sizes, R problems, P = 1 + 2 K unknowns in the order e, a_1, alpha_1, a_2, alpha_2, ...
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from finscale.errors import InputError
from finscale.scaling.laws.checks import count_sizes, positive
from finscale.scaling.laws.minimise import Objective, minimise
from finscale.scaling.laws.unknowns import Exponents, Status, Unknowns, status_of, unknowns_of

HUBER_DELTA = 1e-3  # of log loss, as published: a residual of 0.1 % is where the square turns into a line
LEAST_SQUARES = 1e3  # as delta: no residual of log loss is so large, so that every one counts squared
_RIDGE = 1e-6
_START_FRACTIONS = (0.2, 0.5, 0.8, 0.95, 0.999)  # E as a share of the lowest loss
_START_EXPONENTS = (-0.1, 0.05, 0.2, 0.4, 0.8, 1.5)
_ROUNDS = ((16, 1e-2), (1, 1e-13))  # starts kept after a round of the search, and how exactly it looks
_NOTHING = -600.0  # log of a size that stands for zero: its term is not there
_CHUNK = 500  # problems at a time: keeps the working arrays in the cache of one core


@dataclass(frozen=True)
class LossLaw:
    """L = irreducible + sum_k coefficients[k] * x_k ** -exponents[k].

    status: converged; at a bound (no irreducible loss, or an exponent so steep that it is a step); unidentified (the
    runs cannot tell its unknowns: no finding).
    """

    irreducible: float
    coefficients: tuple[float, ...]
    exponents: tuple[float, ...]
    objective: float  # mean Huber loss at the fit
    points: int
    status: Status = "converged"

    def __call__(self, *sizes: np.ndarray) -> np.ndarray:
        terms = zip(self.coefficients, self.exponents, sizes, strict=True)
        return np.asarray(self.irreducible + sum(a * np.asarray(x, float) ** -alpha for a, alpha, x in terms))

    def theta(self) -> np.ndarray:
        """The unknowns of the fit, (P,)."""
        terms = [value for a, alpha in zip(self.coefficients, self.exponents, strict=True) for value in (a, alpha)]
        theta = np.array([self.irreducible, *terms])
        theta[0], theta[1::2] = np.log(theta[0]), np.log(theta[1::2])
        return theta


def fit_loss_law(
    sizes: np.ndarray, losses: np.ndarray, delta: float = HUBER_DELTA, exponents: Exponents | None = None
) -> LossLaw:
    """The global fit, from a grid of starts.

    sizes: (n,) or (n, K), positive. losses: (n,), positive. delta: of the Huber loss. exponents: None or one per size,
    as in unknowns.py. Raises InputError for fewer runs than unknowns + 1, fewer than three values of a size (two where
    its exponent is fixed or tied), or a value that is not positive and finite.
    """
    x_nK, y_n, unknowns = _checked(sizes, losses, exponents)
    candidates = _grid(x_nK, y_n, unknowns)
    for kept, tolerance in _ROUNDS:
        weights = np.full((len(candidates), len(y_n)), 1 / len(y_n))
        found, converged = _solve(candidates, weights, x_nK, y_n, delta, unknowns, tolerance)
        order = np.argsort(found[:, -1])[:kept]
        candidates, converged = found[order, :-1], converged[order]
    return _law(found[order[0]], bool(converged[0]), x_nK, y_n, unknowns)


def refit(
    law: LossLaw, sizes: np.ndarray, losses: np.ndarray, delta: float = HUBER_DELTA, exponents: Exponents | None = None
) -> LossLaw:
    """fit_loss_law started at a law that is known to lie near: one start for hundreds."""
    x_nK, y_n, unknowns = _checked(sizes, losses, exponents)
    weights = np.full((1, len(y_n)), 1 / len(y_n))
    found, converged = _solve(law.theta()[None], weights, x_nK, y_n, delta, unknowns, _ROUNDS[-1][1])
    return _law(found[0], bool(converged[0]), x_nK, y_n, unknowns)


def bootstrap_loss_law(
    law: LossLaw,
    sizes: np.ndarray,
    losses: np.ndarray,
    weights: np.ndarray,
    delta: float = HUBER_DELTA,
    exponents: Exponents | None = None,
) -> np.ndarray:
    """E, A_1, alpha_1, A_2, alpha_2, ... of each resample, (R, P), started at the fit to all runs.

    losses: (n,), or (R, n) where each resample has its own (blocks of test days). weights: (R, n), how often each run
    counts in each resample. finscale.scaling.laws.resampling makes both. exponents: as the law was fitted with.
    """
    losses = np.asarray(losses, float)
    x_nK, _, unknowns = _checked(sizes, losses if losses.ndim == 1 else losses.mean(axis=0), exponents)
    start = np.tile(law.theta(), (len(weights), 1))
    shares = weights / weights.sum(axis=1, keepdims=True)
    theta = _solve(start, shares, x_nK, np.log(losses), delta, unknowns)[0][:, :-1]
    theta[:, 0], theta[:, 1::2] = np.exp(theta[:, 0]), np.exp(theta[:, 1::2])
    return theta


def _checked(
    sizes: np.ndarray, losses: np.ndarray, exponents: Exponents | None
) -> tuple[np.ndarray, np.ndarray, Unknowns]:
    sizes, losses = positive(sizes, "sizes"), positive(losses, "losses")
    sizes = sizes[:, None] if sizes.ndim == 1 else sizes
    unknowns = unknowns_of(exponents, sizes.shape[1])
    if len(losses) <= unknowns.count:
        raise InputError(
            f"a loss law with {unknowns.count} unknowns needs at least {unknowns.count + 1} runs, found {len(losses)}"
        )
    for k, exponent in enumerate(exponents or [None] * sizes.shape[1]):
        least = 3 if exponent is None else 2
        if (found := count_sizes(sizes[:, k])) < least:
            raise InputError(f"a loss law needs at least {least} values of each size, found {found} of size {k + 1}")
    return np.log(sizes), np.log(losses), unknowns


def _grid(x_nK: np.ndarray, y_n: np.ndarray, unknowns: Unknowns) -> np.ndarray:
    """Starts: E at several fractions of the lowest loss, the rest shared by terms with several exponents."""
    low, middle = np.exp(y_n.min()), np.exp(np.median(y_n))
    centre = np.array([np.median(x[x > _NOTHING]) if (x > _NOTHING).any() else 0.0 for x in x_nK.T])
    starts = []
    for fraction, *exponents in product(_START_FRACTIONS, *[_START_EXPONENTS] * len(centre)):
        theta = np.zeros(1 + 2 * len(centre))
        theta[2::2] = exponents
        theta = unknowns.expand(unknowns.reduce(theta))
        excess = np.log((middle - fraction * low) / len(centre))
        theta[0], theta[1::2] = np.log(fraction * low), excess + theta[2::2] * centre
        starts.append(theta)
    return np.unique(starts, axis=0)


def _solve(
    theta_RP: np.ndarray,
    weights_Rn: np.ndarray,
    x_nK: np.ndarray,
    y: np.ndarray,
    delta: float,
    unknowns: Unknowns,
    tolerance: float = 1e-9,
) -> tuple[np.ndarray, np.ndarray]:
    """(R, P + 1) the unknowns at each minimum and its value, and (R,) whether the search ended there."""
    parts, ended, y_Rn = [], [], np.broadcast_to(y, weights_Rn.shape)
    for at in range(0, len(theta_RP), _CHUNK):
        start, weights, y_rn = (part[at : at + _CHUNK] for part in (theta_RP, weights_Rn, y_Rn))
        curvature = _inverse(start, weights, x_nK, y_rn, delta, unknowns)
        objective = _objective(weights, x_nK, y_rn, delta, unknowns)
        found = minimise(objective, unknowns.reduce(start), curvature, tolerance)
        parts.append(np.column_stack([unknowns.expand(found.theta), found.value]))
        ended.append(found.converged)
    return np.concatenate(parts), np.concatenate(ended)


def _predict(theta_RP: np.ndarray, x_nK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log L (R, n), and the share of each term in L, (R, n, 1 + K): softmax of the terms' logarithms."""
    terms = theta_RP[:, None, 1::2] - theta_RP[:, None, 2::2] * x_nK
    terms = np.concatenate([np.broadcast_to(theta_RP[:, None, :1], (*terms.shape[:2], 1)), terms], axis=2)
    top = terms.max(axis=2, keepdims=True)
    shares = np.exp(terms - top)
    total = shares.sum(axis=2, keepdims=True)
    return (top + np.log(total))[:, :, 0], shares / total


def _objective(
    weights_Rn: np.ndarray, x_nK: np.ndarray, y_Rn: np.ndarray, delta: float, unknowns: Unknowns
) -> Objective:
    """Weighted mean Huber loss and its analytic gradient by the free unknowns."""

    def objective(free_RQ: np.ndarray, rows_R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        theta_RP = unknowns.expand(free_RQ)
        predicted, shares = _predict(theta_RP, x_nK)
        residual = predicted - y_Rn[rows_R]
        size = np.abs(residual)
        huber = np.where(size <= delta, residual**2 / 2, delta * (size - delta / 2))
        weights = weights_Rn[rows_R]
        pull = weights * np.clip(residual, -delta, delta)
        by_term = np.einsum("rn,rnt->rt", pull, shares)
        by_exponent = -np.einsum("rn,rnk,nk->rk", pull, shares[:, :, 1:], x_nK)
        gradient = np.empty_like(theta_RP)
        gradient[:, 0], gradient[:, 1::2], gradient[:, 2::2] = by_term[:, 0], by_term[:, 1:], by_exponent
        return np.einsum("rn,rn->r", weights, huber), gradient @ unknowns.matrix

    return objective


def _jacobian(shares: np.ndarray, x_nK: np.ndarray) -> np.ndarray:
    """d log L / d theta, (R, n, P)."""
    jacobian = np.empty((*shares.shape[:2], 2 * shares.shape[2] - 1))
    jacobian[:, :, 0], jacobian[:, :, 1::2] = shares[:, :, 0], shares[:, :, 1:]
    jacobian[:, :, 2::2] = -shares[:, :, 1:] * x_nK
    return jacobian


def _inverse(
    theta_RP: np.ndarray, weights_Rn: np.ndarray, x_nK: np.ndarray, y_Rn: np.ndarray, delta: float, unknowns: Unknowns
) -> np.ndarray:
    """Inverse of the Gauss-Newton curvature of the free unknowns, J' W J with Huber's weights, plus a ridge."""
    predicted, shares = _predict(theta_RP, x_nK)
    weight = weights_Rn * np.minimum(1, delta / np.maximum(np.abs(predicted - y_Rn), 1e-12))
    jacobian = _jacobian(shares, x_nK) @ unknowns.matrix
    curvature = np.einsum("rn,rnp,rnq->rpq", weight, jacobian, jacobian, optimize=True)
    scale = np.trace(curvature, axis1=1, axis2=2)[:, None, None]
    return np.linalg.inv(curvature + _RIDGE * (scale + 1e-12) * np.eye(unknowns.count))


def _law(found_P1: np.ndarray, ended: bool, x_nK: np.ndarray, y_n: np.ndarray, unknowns: Unknowns) -> LossLaw:
    theta, value = found_P1[:-1], float(found_P1[-1])
    predicted, shares = _predict(theta[None], x_nK)
    irreducible = float(np.exp(theta[0]))
    status = status_of(
        theta,
        _jacobian(shares, x_nK)[0],
        predicted[0] - y_n,
        x_nK,
        unknowns,
        floor=irreducible / float(np.exp(y_n.min())),
    )
    return LossLaw(
        irreducible=irreducible,
        coefficients=tuple(float(v) for v in np.exp(theta[1::2])),
        exponents=tuple(float(v) for v in theta[2::2]),
        objective=value,
        points=len(y_n),
        status=status if ended or status == "at a bound" else "unidentified",  # E falls towards 0 without end
    )
