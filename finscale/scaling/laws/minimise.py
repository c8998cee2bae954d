"""Many small smooth problems minimised at once (BFGS, numpy only).

A multi-start fit is thousands of starts on one data set, a bootstrap one start on thousands of resamples. Both are
the same batch of problems with a handful of unknowns each, so numpy works on all of them in every step. With so few
unknowns the memory of L-BFGS would hold the full inverse Hessian anyway: it is kept whole (Nocedal and Wright 2006,
algorithm 6.1). The first curvature is the caller's, Gauss-Newton for a fit, which removes the need to scale unknowns.

Shapes: R problems, P unknowns.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# objective(theta_RP, rows_R) -> (value_R, gradient_RP); rows_R says which problems are asked for
Objective = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

_ARMIJO = 1e-4
_HALVINGS = 30
_SMALL_STEPS = 3  # so many steps in a row below the tolerance count as converged


@dataclass(frozen=True)
class Minimum:
    """theta_RP with its value_R, and whether each problem converged."""

    theta: np.ndarray
    value: np.ndarray
    converged: np.ndarray


def minimise(
    objective: Objective, theta_RP: np.ndarray, inverse_RPP: np.ndarray, tolerance: float = 1e-9, steps: int = 500
) -> Minimum:
    """The local minimum of each problem from its start.

    inverse_RPP: symmetric positive definite, an inverse Hessian to begin with. Converged: the objective fell by less
    than tolerance, relative, three steps in a row, or no step along the gradient lowers it any more.
    """
    theta, inverse = theta_RP.astype(float).copy(), inverse_RPP.astype(float).copy()
    first = inverse_RPP
    everything = np.arange(len(theta))
    value, gradient = objective(theta, everything)
    small = np.zeros(len(theta), int)
    active = everything
    for _ in range(steps):
        direction = -np.einsum("rpq,rq->rp", inverse[active], gradient[active])
        moved, new_value, new_gradient = _line_search(objective, theta, value, gradient, direction, active)
        step, turn = moved - theta[active], new_gradient - gradient[active]
        fell = (value[active] - new_value) <= tolerance * np.abs(value[active])
        small[active] = np.where(fell, small[active] + 1, 0)
        theta[active], value[active], gradient[active] = moved, new_value, new_gradient
        inverse[active] = _update(inverse[active], step, turn)
        # No progress at all: the curvature may have gone stale, so it starts again before the problem is given up.
        stuck = active[(step == 0).all(axis=1)]
        inverse[stuck] = first[stuck]
        active = active[small[active] < _SMALL_STEPS]
        if not active.size:
            break
    return Minimum(theta, value, small >= _SMALL_STEPS)


def _line_search(
    objective: Objective,
    theta: np.ndarray,
    value: np.ndarray,
    gradient: np.ndarray,
    direction: np.ndarray,
    active: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Halve each step until it lowers its objective enough (Armijo); a problem that finds none stays where it is."""
    slope = np.einsum("rp,rp->r", gradient[active], direction)
    moved, new_value, new_gradient = theta[active].copy(), value[active].copy(), gradient[active].copy()
    waiting, length = np.arange(len(active)), 1.0
    for _ in range(_HALVINGS):
        tried = theta[active[waiting]] + length * direction[waiting]
        tried_value, tried_gradient = objective(tried, active[waiting])
        good = tried_value <= value[active[waiting]] + _ARMIJO * length * slope[waiting]
        kept = waiting[good]
        moved[kept], new_value[kept], new_gradient[kept] = tried[good], tried_value[good], tried_gradient[good]
        waiting = waiting[~good]
        if not waiting.size:
            break
        length /= 2
    return moved, new_value, new_gradient


def _update(inverse: np.ndarray, step: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The BFGS update, left out where the curvature along the step is not clearly positive."""
    curvature = np.einsum("rp,rp->r", step, turn)
    usable = curvature > 1e-12 * np.linalg.norm(step, axis=1) * np.linalg.norm(turn, axis=1)
    rho = np.where(usable, 1 / np.where(usable, curvature, 1.0), 0.0)
    bent = np.einsum("rpq,rq->rp", inverse, turn)
    quadratic = np.einsum("rp,rp->r", turn, bent)
    outer = np.einsum("rp,rq->rpq", step, bent)
    along = np.einsum("rp,rq->rpq", step, step)
    return (
        inverse
        - rho[:, None, None] * (outer + outer.transpose(0, 2, 1))
        + (rho * (1 + rho * quadratic))[:, None, None] * along
    )
