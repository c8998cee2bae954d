"""How long the intervals of all metrics take: python -m tests.bench.evaluation [resamples] [rows] [repeats]

SPEC asks for 2000 resamples of all metrics of 3000 predictions in at most 3 s. Times are medians, in seconds.
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import expit
from tabulate import tabulate

from finscale.config import Task
from finscale.evaluation.baseline_names import names_of
from finscale.evaluation.calibration import METHODS
from finscale.evaluation.config import EvaluateConfig
from finscale.evaluation.scoring import resampling, score


def table(rows: int, task: Task, binary: bool) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    logit = rng.normal(size=rows)
    label = (rng.random(rows) < expit(logit)).astype(float) if binary else 0.01 * logit
    columns = ["model", *names_of(task), *(f"calibrated_{method}" for method in METHODS if binary)]
    noisy = {name: logit + rng.normal(size=rows) for name in columns}
    return pd.DataFrame({"date": pd.bdate_range("2000-01-03", periods=rows), "label": label} | {
        name: expit(values) if binary else 0.01 * values for name, values in noisy.items()
    })  # fmt: skip


def seconds(measure: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        measure()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main(resamples: int = 2000, rows: int = 3000, repeats: int = 5) -> None:
    config = EvaluateConfig(
        resamples=resamples, confidence=0.95, block_length="auto", conformal_level=0.9,
        conformal_step=0.02,
    )  # fmt: skip
    results = []
    for task, binary in (("direction", True), ("regression", False)):
        test = table(rows, task, binary)
        drawn = resampling(test, 5, binary, config)
        drawing = seconds(lambda test=test, binary=binary: resampling(test, 5, binary, config), repeats)
        scoring = seconds(lambda test=test, task=task, drawn=drawn: score(test, task, drawn), repeats)
        models = 1 + len(names_of(task))
        results.append([task, models, rows, resamples, drawing, scoring, drawing + scoring])
    names = ["task", "models", "rows", "resamples", "drawing", "all metrics", "together"]
    print(tabulate(results, names, floatfmt=".2f"))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
