"""laws: what the fits cost, and how often their intervals hold

    OMP_NUM_THREADS=2 PYTHONPATH=. python tests/bench/laws.py

Reads ../shared/data/chinchilla (the published points; the first table is left out where they are absent).
"""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from finscale.scaling.resampling import expanded_interval, run_weights
from finscale.scaling.surface import HUBER_DELTA, LEAST_SQUARES, LossLaw, bootstrap_loss_law, fit_loss_law

CHINCHILLA = Path("../shared/data/chinchilla")
NAMES = ("E", "A", "alpha", "B", "beta")
TRUTH = np.array([1.8, 480, 0.35, 2100, 0.37])
RESAMPLES, STUDIES = 4000, 300


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


def coverage(noise: float, seeds: int, delta: float, resamples: int) -> list:
    """How often the 95 % intervals hold the planted unknowns, over simulated studies of 25 sizes."""
    params, tokens = np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e8, 1e11, 5))
    sizes = np.repeat(np.column_stack([params.ravel(), tokens.ravel()]), seeds, axis=0)
    clean = LossLaw(1.8, (480, 2100), (0.35, 0.37), 0, 0)(*sizes.T)
    covered, started = np.zeros(5), time.perf_counter()
    for seed in range(STUDIES):
        losses = clean * np.exp(np.random.default_rng(seed).normal(scale=noise, size=len(sizes)))
        law = fit_loss_law(sizes, losses, delta)
        drawn = bootstrap_loss_law(law, sizes, losses, run_weights(len(sizes), resamples, seed), delta)
        low, high = expanded_interval(drawn, runs=len(sizes), unknowns=5)
        covered += (low <= TRUTH) & (high >= TRUTH)
    return [noise, seeds, delta, *(100 * covered / STUDIES), time.perf_counter() - started]


def main() -> None:
    if (CHINCHILLA / "expected.json").exists():
        published()
    cases = [(0.005, 2, LEAST_SQUARES), (0.005, 3, LEAST_SQUARES), (0.005, 2, HUBER_DELTA)]
    rows = [coverage(*case, resamples=400) for case in cases]
    print(tabulate(rows, ["noise", "seeds", "delta", *(f"{name}, %" for name in NAMES), "s"], floatfmt=".4g"))


if __name__ == "__main__":
    main()
