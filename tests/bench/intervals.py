"""How often a random walk is called significant: python -m tests.bench.intervals [runs] [first seed]

Nominal is 5 % for information and AUC (either side) and at most 2.5 % for `better than the base rate`. Short blocks:
blocks of the horizon and plain percentiles, what a block bootstrap is without care. About 5 minutes on one core.
"""

import sys

import pandas as pd
from scipy import stats
from tabulate import tabulate
from tqdm import tqdm

from tests.random_walks import short_block_verdicts, verdicts

CASES = [  # horizon, test days, features; 20 is no horizon of the study: its 600 days hold 30 outcomes
    (1, 600, "past"),
    (5, 600, "past"),
    (5, 750, "past"),
    (5, 1500, "past"),
    (5, 600, "persistent"),
    (5, 1500, "persistent"),
    (20, 600, "past"),
    (20, 1500, "past"),
]


def claimed(*case: object) -> dict[str, bool]:
    return verdicts(*case) | short_block_verdicts(*case)


def main(runs: int = 500, first_seed: int = 10_000) -> None:
    rows = []
    for horizon, days, kind in tqdm(CASES, unit="case"):
        seeds = range(first_seed, first_seed + runs)
        claims = pd.DataFrame([claimed(seed, horizon, days, kind) for seed in seeds])
        rows.append([horizon, days, kind, *(100 * claims.mean())])
    low, high = (100 * count / runs for count in stats.binom.interval(0.95, runs, 0.05))
    print(f"{runs} random walks from seed {first_seed} on; 5 % comes out between {low:.1f} and {high:.1f} %.\n")
    print(tabulate(rows, ["horizon", "test days", "features", *claims.columns], floatfmt=".1f", tablefmt="github"))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
