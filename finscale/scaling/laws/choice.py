"""Which law? Constant, pure power law, law with irreducible loss, broken power law.

Each is fitted to log loss by least squares and judged twice: by AICc on all runs (Hurvich and Tsai 1989), and by the
loss that it predicts at the largest size from the smaller ones alone. The second is what a law is for. A winner is
named only where all four could be judged: among the two laws that four runs carry, the constant wins against any
exponent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from finscale.errors import InputError
from finscale.scaling.laws.checks import largest, positive, size_labels
from finscale.scaling.laws.power_law import MIN_SIZES
from finscale.scaling.laws.prediction import repeated_scatter
from finscale.scaling.laws.surface import LEAST_SQUARES, LossLaw, fit_loss_law
from finscale.scaling.laws.unknowns import Status

Curve = Callable[[np.ndarray], np.ndarray]  # sizes -> losses
Fit = Callable[[np.ndarray, np.ndarray], Curve]

_BREAKS = 60  # candidate places of the break
_EXACT = 1e-12  # residuals of log loss below this are rounding: an exact fit must not win by infinity


@dataclass(frozen=True)
class Candidate:
    """One law fitted to one study.

    unknowns: of the curve, without the scatter. aicc: None where too few runs are left to judge by. weight: Akaike
    weight among the candidates that have an aicc. extrapolation_error: log of predicted over measured mean loss at
    the largest size, fitted without it; None where the smaller sizes are too few for this law. extrapolation_noise:
    standard error of that measured mean over its seeds, None where no size was repeated. status: of the fit.
    """

    name: str
    unknowns: int
    aicc: float | None
    weight: float | None
    extrapolation_error: float | None
    extrapolation_noise: float | None
    status: Status
    curve: Curve


def compare_laws(sizes: np.ndarray, losses: np.ndarray) -> list[Candidate]:
    """All laws that the study can carry, best AICc first.

    sizes, losses: (n,), positive, one entry per run. Raises InputError for fewer than 3 sizes.
    """
    sizes, losses = positive(sizes, "sizes"), positive(losses, "losses")
    labels = size_labels(sizes)
    if labels.max() + 1 < MIN_SIZES:
        raise InputError(f"a choice between laws needs at least {MIN_SIZES} sizes, found {labels.max() + 1}")
    sizes = np.exp((np.bincount(labels, np.log(sizes)) / np.bincount(labels))[labels])
    scatter = repeated_scatter(labels, np.log(losses))
    noise = None if scatter is None else float(scatter / np.sqrt((labels == labels.max()).sum()))
    able = {name: law for name, law in _LAWS.items() if _carries(law[0], sizes)}
    curves = {name: fit(sizes, losses) for name, (_, fit) in able.items()}
    scores = {name: _aicc(curves[name], unknowns, sizes, losses) for name, (unknowns, _) in able.items()}
    judged = [score for score in scores.values() if score is not None]
    total = sum(np.exp((min(judged) - score) / 2) for score in judged) if judged else 0.0
    found = [
        Candidate(
            name=name,
            unknowns=unknowns,
            aicc=scores[name],
            weight=None if (score := scores[name]) is None else float(np.exp((min(judged) - score) / 2) / total),
            extrapolation_error=_extrapolation_error(unknowns, fit, sizes, losses),
            extrapolation_noise=noise,
            status=_status(curves[name]),
            curve=curves[name],
        )
        for name, (unknowns, fit) in able.items()
    ]
    return sorted(found, key=lambda one: np.inf if one.aicc is None else one.aicc)


def winner(candidates: list[Candidate]) -> Candidate | None:
    """The law that AICc prefers; None unless all laws could be judged and its own fit is identified.

    candidates: of compare_laws.
    """
    judged = [one for one in candidates if one.aicc is not None]
    if len(judged) < len(_LAWS) or candidates[0].status == "unidentified":
        return None
    return candidates[0]


def choice_words(candidates: list[Candidate], carried: bool = True) -> str:
    """One sentence: which law holds, as far as it can be told, and how well the largest size was foretold.

    carried: by the verdict over seeds and days; AICc knows of seeds alone.
    """
    if preferred := winner(candidates):
        beside = "" if carried else "; over seeds only, and the verdict does not carry it"
        words = f"AICc prefers: {preferred.name} (weight {preferred.weight:.2f}{beside})"
    else:
        judged = sum(one.aicc is not None for one in candidates)
        found = f"{judged} of {len(_LAWS)} laws could be judged"
        words = f"which law holds cannot be told ({found if judged < len(_LAWS) else 'the best fit is unidentified'})"
    closest = best_extrapolation(candidates)
    if closest is None:
        return words
    noise = closest.extrapolation_noise
    beside = "its scatter over seeds is not known" if noise is None else f"its seeds alone scatter it by ±{noise:.2%}"
    off = f"{closest.extrapolation_error:+.2%}; {beside}"
    return f"{words}; the largest size is foretold best by: {closest.name} ({off})"


def best_extrapolation(candidates: list[Candidate]) -> Candidate | None:
    """The law whose prediction of the largest size was closest, or None where none could be made."""
    tried = [one for one in candidates if one.extrapolation_error is not None]
    return min(tried, key=lambda one: abs(one.extrapolation_error or 0.0)) if tried else None


def fit_without_largest(sizes: np.ndarray, losses: np.ndarray) -> dict[str, Curve]:
    """Each law fitted to all sizes but the largest, for the figure of the extrapolation."""
    small = ~largest(sizes)
    return {
        name: fit(sizes[small], losses[small])
        for name, (unknowns, fit) in _LAWS.items()
        if _carries(unknowns, sizes[small])
    }


def _status(curve: Curve) -> Status:
    """Lines, broken ones too, are linear least squares: only a floor can be unidentified."""
    return curve.status if isinstance(curve, LossLaw) else "converged"


def _carries(unknowns: int, sizes: np.ndarray) -> bool:
    """As many different sizes as unknowns; an irreducible loss needs one run more."""
    return len(np.unique(sizes)) >= unknowns and len(sizes) > unknowns


def _aicc(curve: Curve, unknowns: int, sizes: np.ndarray, losses: np.ndarray) -> float | None:
    n, k = len(losses), unknowns + 1  # the scatter is estimated too
    if n - k - 1 <= 0:
        return None
    squares = float(np.mean(np.log(curve(sizes) / losses) ** 2))
    return float(n * np.log(max(squares, _EXACT**2)) + 2 * k + 2 * k * (k + 1) / (n - k - 1))


def _extrapolation_error(unknowns: int, fit: Fit, sizes: np.ndarray, losses: np.ndarray) -> float | None:
    small = sizes < sizes.max()
    if not _carries(unknowns, sizes[small]):
        return None
    predicted = fit(sizes[small], losses[small])(sizes[~small][:1])[0]
    return float(np.log(predicted) - np.log(losses[~small]).mean())


def _fit_constant(sizes: np.ndarray, losses: np.ndarray) -> Curve:
    level = np.exp(np.log(losses).mean())
    return lambda asked: np.full(len(asked), level)


def _fit_power(sizes: np.ndarray, losses: np.ndarray) -> Curve:
    slope, intercept = np.polyfit(np.log(sizes), np.log(losses), 1)
    return lambda asked: np.asarray(np.exp(intercept) * asked**slope)


def _fit_broken(sizes: np.ndarray, losses: np.ndarray) -> Curve:
    """Two power laws that meet: the sharp limit of Caballero et al. 2023 (arXiv:2210.14891) with one break.

    The break lies between the second smallest and the second largest size: both slopes rest on two sizes.
    """
    x, y = np.log(sizes), np.log(losses)
    inner = np.unique(x)
    solved = []
    for bend in np.linspace(inner[1], inner[-2], _BREAKS):
        columns = np.column_stack([np.ones_like(x), x, np.maximum(x - bend, 0)])
        solution = np.linalg.lstsq(columns, y, rcond=None)[0]
        solved.append((float(((columns @ solution - y) ** 2).sum()), bend, solution))
    _, bend, (level, slope, turn) = min(solved, key=lambda one: one[0])
    return lambda asked: np.exp(level + slope * np.log(asked) + turn * np.maximum(np.log(asked) - bend, 0))


def _fit_irreducible(sizes: np.ndarray, losses: np.ndarray) -> Curve:
    return fit_loss_law(sizes, losses, delta=LEAST_SQUARES)


_LAWS: dict[str, tuple[int, Fit]] = {
    "constant": (1, _fit_constant),
    "power law": (2, _fit_power),
    "irreducible loss": (3, _fit_irreducible),
    "broken power law": (4, _fit_broken),
}
