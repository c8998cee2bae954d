"""Laws for windows that are seen more than once: unique windows U, windows seen D, repetitions R = D / U - 1.

Two forms, both L(N, D) of surface.py on other quantities, so that both are fitted by it.

1. Repeated windows count less (Muennighoff et al. 2023, arXiv:2305.16264, eq. 5): D' = U + U R* (1 - exp(-R / R*))
   takes the place of D; R* is how many repetitions it takes until little is left to learn. The same paper discounts
   parameters in excess of what U can fill; that second half needs the compute-optimal N for U and is not followed here.
2. Repeated windows harm (an additive overfitting penalty: Lovelace et al. 2026, arXiv:2605.01640, whose abstract gives
   "a simple additive overfitting penalty" with one coefficient; its equation was not at hand). Assumed, not taken from
   there: the penalty is P (R N / U)^kappa, kappa = 1: zero for one pass, growing with repetitions and with parameters
   per unique window. kappa can be left free. In contrast to 1 it has a best number of repetitions, after which more
   harm.

Shapes: n runs. All counts in windows or all in tokens.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import minimize_scalar

from finscale.errors import InputError
from finscale.scaling.laws.checks import check_confidence, positive
from finscale.scaling.laws.surface import LEAST_SQUARES, LossLaw, fit_loss_law, refit
from finscale.scaling.laws.unknowns import Exponents, Status

_DECAYS = np.geomspace(0.05, 500, 41)  # places where R* is looked for
_WHOLE_FITS = 10  # every so many places the search starts anew, between them at its neighbour
_LEAST_REPETITIONS = 0.5  # a design without a run beyond says nothing of repetitions
_NOTHING = 1e-290  # stands for zero in a size: surface.py drops the term


@dataclass(frozen=True)
class DataConstrainedLaw:
    """L(N, D'(U, D)). decay: R*, with its profile interval; base: the law in N and D'."""

    base: LossLaw
    decay: float
    decay_low: float
    decay_high: float
    status: Status

    def __call__(self, params: np.ndarray, unique: np.ndarray, seen: np.ndarray) -> np.ndarray:
        return self.base(params, effective_windows(unique, seen, self.decay))


@dataclass(frozen=True)
class PenaltyLaw:
    """L(N, D) + penalty * (R N / U)^growth. base: the law in N and D without the penalty."""

    base: LossLaw
    penalty: float
    growth: float
    status: Status

    def __call__(self, params: np.ndarray, unique: np.ndarray, seen: np.ndarray) -> np.ndarray:
        return np.asarray(self.base(params, seen) + self.penalty * _load(params, unique, seen) ** self.growth)

    def best_repetitions(self, params: float, unique: float) -> float:
        """R at which a model of this size loses least on these unique windows; 0: one pass is best."""
        log_most = np.log(1e6)
        found = minimize_scalar(
            lambda log_passes: float(self(*map(np.asarray, (params, unique, unique * np.exp(log_passes))))),
            bounds=(0.0, log_most),
            method="bounded",
            options={"xatol": 1e-8},
        )
        return float(np.expm1(found.x))


def effective_windows(unique: np.ndarray, seen: np.ndarray, decay: float) -> np.ndarray:
    """D' of Muennighoff et al. 2023. Raises InputError where fewer windows were seen than there are unique ones."""
    unique, repetitions = np.asarray(unique, float), _repetitions(unique, seen)
    return np.asarray(unique * (1 + decay * -np.expm1(-repetitions / decay)))


def fit_data_constrained(
    params: np.ndarray,
    unique: np.ndarray,
    seen: np.ndarray,
    losses: np.ndarray,
    exponents: Exponents | None = None,
    confidence: float = 0.95,
) -> DataConstrainedLaw:
    """Least squares of log losses over E, A, alpha, B, beta and R*.

    R* is profiled: for each value the law in N and D' is fitted, and the best is kept; its interval holds the values
    whose squares an F test does not refuse (Bates and Watts 1988, section 6.1), with runs taken as independent. Raises
    InputError as fit_loss_law does.
    """
    params, unique, seen = positive(params, "sizes"), positive(unique, "windows"), positive(seen, "windows")
    check_confidence(confidence)
    profile = _profile(params, unique, seen, losses, exponents)
    squares = np.array([law.objective for law in profile])
    best = int(np.argmin(squares))

    def at(log_decay: float, near: LossLaw) -> LossLaw:
        sizes = np.column_stack([params, effective_windows(unique, seen, float(np.exp(log_decay)))])
        return refit(near, sizes, losses, LEAST_SQUARES, exponents)

    ends = np.log(_DECAYS[[max(best - 1, 0), min(best + 1, len(_DECAYS) - 1)]])
    found = minimize_scalar(
        lambda log_decay: at(log_decay, profile[best]).objective,
        bounds=(float(ends[0]), float(ends[1])),
        method="bounded",
        options={"xatol": 1e-6},
    )
    law, decay = at(float(found.x), profile[best]), float(np.exp(found.x))
    low, high = _profile_interval(squares, law.objective, len(losses), confidence)
    status = law.status
    repeated = float(_repetitions(unique, seen).max()) > _LEAST_REPETITIONS
    if not repeated or (low <= _DECAYS[0] and high >= _DECAYS[-1]):
        status = "unidentified"
    elif status == "converged" and best in (0, len(_DECAYS) - 1):
        status = "at a bound"
    return DataConstrainedLaw(law, decay, min(low, decay), max(high, decay), status)


def fit_with_penalty(
    params: np.ndarray,
    unique: np.ndarray,
    seen: np.ndarray,
    losses: np.ndarray,
    growth: float | None = 1.0,
    exponents: Exponents | None = None,
) -> PenaltyLaw:
    """Least squares of log losses over E, A, alpha, B, beta and the penalty; growth None: also over its power.

    Raises InputError as fit_loss_law does, and where no run repeats a window.
    """
    params, unique, seen = positive(params, "sizes"), positive(unique, "windows"), positive(seen, "windows")
    load = _load(params, unique, seen)
    if float(_repetitions(unique, seen).max()) <= _LEAST_REPETITIONS:
        raise InputError("an overfitting penalty needs runs that see their windows more than once and a half")
    told = [*(exponents or (None, None)), None if growth is None else -growth]
    sizes = np.column_stack([params, seen, np.maximum(load, _NOTHING)])
    law = fit_loss_law(sizes, losses, LEAST_SQUARES, told)
    base = LossLaw(law.irreducible, law.coefficients[:2], law.exponents[:2], law.objective, law.points, law.status)
    return PenaltyLaw(base, law.coefficients[2], -law.exponents[2], law.status)


def _profile(
    params: np.ndarray, unique: np.ndarray, seen: np.ndarray, losses: np.ndarray, exponents: Exponents | None
) -> list[LossLaw]:
    laws: list[LossLaw] = []
    for place, decay in enumerate(_DECAYS):
        sizes = np.column_stack([params, effective_windows(unique, seen, float(decay))])
        if place % _WHOLE_FITS == 0:
            laws.append(fit_loss_law(sizes, losses, LEAST_SQUARES, exponents))
        else:
            laws.append(refit(laws[-1], sizes, losses, LEAST_SQUARES, exponents))
    return laws


def _profile_interval(squares: np.ndarray, least: float, runs: int, confidence: float) -> tuple[float, float]:
    """Ends of the places whose squares an F test does not refuse; six unknowns were fitted."""
    spare = max(runs - 6, 1)
    allowed = max(least, 1e-24) * (1 + stats.f.ppf(confidence, 1, spare) / spare)
    held = np.flatnonzero(squares <= allowed)
    if not held.size:  # between two places: the nearest ones enclose it
        best = int(np.argmin(squares))
        held = np.array([max(best - 1, 0), min(best + 1, len(_DECAYS) - 1)])
    return float(_DECAYS[max(held[0] - 1, 0)]), float(_DECAYS[min(held[-1] + 1, len(_DECAYS) - 1)])


def _repetitions(unique: np.ndarray, seen: np.ndarray) -> np.ndarray:
    passes = np.asarray(seen, float) / np.asarray(unique, float)
    if (passes < 1 - 1e-9).any():
        raise InputError(
            f"a run saw {passes.min():.3g} of its unique windows: unique windows are those that it saw at least once"
        )
    return np.asarray(np.maximum(passes - 1, 0.0))


def _load(params: np.ndarray, unique: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """R N / U."""
    return np.asarray(_repetitions(unique, seen) * np.asarray(params, float) / np.asarray(unique, float))
