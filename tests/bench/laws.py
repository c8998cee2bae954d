"""laws: what the fits cost, and how often their intervals hold

    OMP_NUM_THREADS=1 python -m tests.bench.laws               # the fits: time and coverage
    OMP_NUM_THREADS=1 python -m tests.bench.laws coverage      # rivals, interactions and the exponent: 10 minutes
    OMP_NUM_THREADS=1 python -m tests.bench.laws coverage 0    # rivals and interactions alone: 30 seconds

Reads ../shared/data/chinchilla (the published points; the first table is left out where they are absent).
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from tabulate import tabulate

from finscale.scaling.laws.contrast import Estimate, estimate
from finscale.scaling.laws.exponent import exponent
from finscale.scaling.laws.power_law import fit_with_interval
from finscale.scaling.laws.resampling import expanded_interval, run_weights, smoothed_losses
from finscale.scaling.laws.surface import HUBER_DELTA, LEAST_SQUARES, LossLaw, bootstrap_loss_law, fit_loss_law
from tests.bench.ladders import DESIGNS, SCENARIOS, Ladder, cells, design

CHINCHILLA = Path("../shared/data/chinchilla")
NAMES = ("E", "A", "alpha", "B", "beta")
SURFACE = LossLaw(1.8, (480.0, 2100.0), (0.35, 0.37), 0.0, 0)
CURVE, LADDER = LossLaw(0.55, (3.0,), (0.3,), 0.0, 0), np.repeat(np.geomspace(1e4, 1e7, 7), 3)[:, None]
RESAMPLES, STUDIES, FIRST_SEED = 4000, 300, 1000


def published() -> None:
    """The Chinchilla fit and its bootstrap beside the published figures."""
    expected = json.loads((CHINCHILLA / "expected.json").read_text())
    points = pd.read_csv(CHINCHILLA / "svg_extracted_data.csv")
    points = points[points["loss"] < points["loss"].nlargest(5).min()]
    params, losses = points["Model Size"].to_numpy(), points["loss"].to_numpy()
    sizes = np.column_stack([params, points["Training FLOP"] / 6 / params])
    started = time.perf_counter()
    law = fit_loss_law(sizes, losses)
    fitted = time.perf_counter()
    resampled = bootstrap_loss_law(law, sizes, losses, run_weights(len(losses), RESAMPLES))
    done = time.perf_counter()
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    wanted = expected["huber_grid_fit_published"]
    rows = [
        (
            name,
            value,
            wanted[name],
            100 * (value / wanted[name] - 1),
            low[i],
            high[i],
            *expected["ci95_published"][name],
        )
        for i, (name, value) in enumerate(zip(NAMES, unknowns(law), strict=True))
    ]
    print(tabulate(rows, ["", "found", "published", "off, %", "low", "high", "published", "published"], floatfmt=".5g"))
    print(f"\n{law.points} points: fit {fitted - started:.2f} s, {RESAMPLES} resamples {done - fitted:.2f} s\n")


def unknowns(law: LossLaw) -> np.ndarray:
    terms = zip(law.coefficients, law.exponents, strict=True)
    return np.array([law.irreducible, *(value for term in terms for value in term)])


def grid(seeds: int) -> np.ndarray:
    params, tokens = np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e8, 1e11, 5))
    return np.repeat(np.column_stack([params.ravel(), tokens.ravel()]), seeds, axis=0)


def covered(
    planted: LossLaw,
    sizes: np.ndarray,
    delta: float,
    studies: range,
    resamples: int,
    smooth: bool,
    noise: float = 0.005,
) -> np.ndarray:
    """Share of simulated studies whose 95 % intervals hold each planted unknown, (P,). sizes: (n, K)."""
    truth, runs = unknowns(planted), len(sizes)
    held = np.zeros(len(truth))
    for seed in studies:
        losses = planted(*sizes.T) * np.exp(np.random.default_rng(seed).normal(scale=noise, size=runs))
        law = fit_loss_law(sizes, losses, delta)
        if smooth:
            losses, weights = (
                smoothed_losses(law(*sizes.T), losses, len(truth), resamples, seed),
                np.ones((resamples, runs)),
            )
        else:
            weights = run_weights(runs, resamples, seed)
        drawn = bootstrap_loss_law(law, sizes, losses, weights, delta)
        low, high = expanded_interval(drawn, runs=runs, unknowns=len(truth))
        held += (low <= truth) & (truth <= high)
    return np.asarray(held / len(studies))


def coverage(name: str, *case: Any) -> list:
    started = time.perf_counter()
    found = 100 * covered(*case)
    return [name, *found, *([""] * (5 - len(found))), time.perf_counter() - started]


def exponent_intervals(ladder: Ladder, alpha: float, studies: range) -> tuple[float, float, float]:
    """Shares of studies in which the interval over seeds and days, and that over seeds, cover; mean width by an
    oracle's."""
    both = alone = width = 0.0
    for seed in studies:
        sizes, runs = ladder.draw(alpha, seed)
        found, seeds = exponent(sizes, runs).alpha, fit_with_interval(sizes, runs.losses())
        both += found.low <= alpha <= found.high
        alone += seeds.alpha_low <= alpha <= seeds.alpha_high
        width += found.high - found.low
    count = len(studies)
    return both / count, alone / count, width / count / (2 * stats.norm.ppf(0.975) * ladder.standard_error())


def exponent_coverage(studies: int) -> list[dict[str, object]]:
    """A row per kind of scatter and design. Runs of the main design get twice the studies."""
    rows = []
    for sizes, seeds in DESIGNS:
        for name in SCENARIOS:
            ladder = design(name, sizes, seeds)
            count = 2 * studies if (sizes, seeds) == DESIGNS[0] else studies
            at_zero = exponent_intervals(ladder, 0.0, range(FIRST_SEED, FIRST_SEED + count))
            falling = exponent_intervals(ladder, 0.03, range(FIRST_SEED + count, FIRST_SEED + 2 * count))
            rows.append(
                {
                    "design": f"{sizes} x {seeds}",
                    "scatter": name,
                    "covers, alpha 0": 100 * at_zero[0],
                    "alpha 0.03": 100 * falling[0],
                    "called a law at 0": 100 * (1 - at_zero[0]),
                    "seeds only: covers": 100 * at_zero[1],
                    "called a law": 100 * (1 - at_zero[1]),
                    "width / oracle": at_zero[2],
                }
            )
            print(f"{sizes} x {seeds}, {name}", file=sys.stderr)
    return rows


def rival(seeds: int, run_noise: float, day_noise: float, study: int) -> Estimate:
    """A model against a baseline that loses as much: runs of one cell, and the same losses for each of them."""
    runs = cells(seeds, [run_noise, 0], [day_noise, 0], np.random.default_rng(study))
    return estimate(runs, np.repeat([1.0, -1.0], seeds) / seeds)


def interaction(seeds: int, run_noise: float, day_noise: float, study: int) -> Estimate:
    """Two by two cells without an interaction; a day moves it through one of them."""
    runs = cells(seeds, [run_noise] * 4, [day_noise, 0, 0, 0], np.random.default_rng(study))
    return estimate(runs, np.repeat([1.0, -1.0, -1.0, 1.0], seeds) / seeds)


def satterthwaite(found: Estimate) -> float:
    """The p-value of one quantile with Satterthwaite's degrees."""
    return float(2 * stats.t.sf(abs(found.value) / found.standard_error, found.degrees))


def contrast_coverage(studies: int) -> list[dict[str, object]]:
    """How often a difference or an interaction is found where there is none, in % of the studies."""
    rows: list[dict[str, object]] = []
    for name, contrast in (("rival", rival), ("interaction", interaction)):
        for seeds in (2, 3, 5):
            for run_noise, day_noise in ((0.003, 0.001), (0.003, 0.003), (0.001, 0.003)):
                drawn = [contrast(seeds, run_noise, day_noise, FIRST_SEED + study) for study in range(studies)]
                rows.append(
                    {
                        "contrast": name,
                        "seeds": seeds,
                        "noise of runs": f"{run_noise:.1%}",
                        "of days": f"{day_noise:.1%}",
                        "found where none is": 100 * np.mean([one.p_value < 0.05 for one in drawn]),
                        "Satterthwaite": 100 * np.mean([satterthwaite(one) < 0.05 for one in drawn]),
                    }
                )
    return rows


def main() -> None:
    if sys.argv[1:2] == ["coverage"]:
        studies = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
        contrasts = int(sys.argv[3]) if len(sys.argv) > 3 else 400
        print(tabulate(contrast_coverage(contrasts), headers="keys", tablefmt="github", floatfmt=".1f"))
        if not studies:
            return
        print(tabulate(exponent_coverage(studies), headers="keys", tablefmt="github", floatfmt=".1f"))
        return
    if (CHINCHILLA / "expected.json").exists():
        published()
    studies = range(FIRST_SEED, FIRST_SEED + STUDIES)
    cases = [
        ("N and D, squares, runs redrawn", SURFACE, grid(2), LEAST_SQUARES, studies, 400, False),
        ("N and D, Huber, runs redrawn", SURFACE, grid(2), HUBER_DELTA, studies, 400, False),
        ("N and D, squares, smoothed residuals", SURFACE, grid(2), LEAST_SQUARES, studies, 400, True),
        ("N and D, Huber, smoothed residuals", SURFACE, grid(2), HUBER_DELTA, studies, 400, True),
        ("N alone, squares, smoothed residuals", CURVE, LADDER, LEAST_SQUARES, studies, 400, True),
    ]
    rows = [coverage(*case) for case in cases]
    print(tabulate(rows, ["law, fit, resamples", *(f"{name}, %" for name in NAMES), "s"], floatfmt=".4g"))


if __name__ == "__main__":
    main()
