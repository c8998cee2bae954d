"""What the runs say: paired differences with intervals, ranks, and the decision by the rule that LOG.md holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from finscale.scaling.laws.contrast import Estimate, Runs, estimate
from finscale.storage import read_parquet
from study.recipe.protocol import AUTHOR, Protocol

_CONFIDENCE = 0.95
_MOST_FOUND_IN_NOISE = 2  # of 12 random walks with skill that is none, at the stated rate of 2.5 %


@dataclass(frozen=True)
class Paired:
    """Mean difference of a candidate's values from another's on the same markets and seeds, with Student's interval."""

    pairs: int
    mean: float
    error: float
    low: float
    high: float

    @property
    def carried_on(self) -> bool:
        """Above one standard error."""
        return self.pairs > 1 and self.mean > self.error


def paired(rows: pd.DataFrame, candidate: str, other: str) -> Paired:
    """Over every (data, budget, seed) that both have. rows: of the table."""
    of = {
        name: rows[rows["candidate"] == name].set_index(["data", "budget", "seed"])["value"]
        for name in (candidate, other)
    }
    difference = (of[candidate] - of[other]).dropna()
    return student(difference.to_numpy())


def student(difference: np.ndarray) -> Paired:
    """The mean of some values, differences or others, with Student's interval."""
    if len(difference) < 2:
        mean = float(difference.mean()) if len(difference) else np.nan
        return Paired(len(difference), mean, np.nan, np.nan, np.nan)
    mean, error = float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))
    half = float(stats.t.isf((1 - _CONFIDENCE) / 2, len(difference) - 1)) * error
    return Paired(len(difference), mean, error, mean - half, mean + half)


def loss_against(
    folder: Path, candidate: str, other: str, data: str, seeds: Sequence[int], horizon: int, other_data: str = ""
) -> Estimate:
    """Log of the ratio of mean losses on the measured days, over seeds and days (scaling/laws/contrast.py).

    A baseline, which has no seed, stands beside every seed as it is. other_data: where the other's rows are of the same
    days with other features.
    """
    runs, cells, numbers = [], [], []
    for cell, (name, place) in enumerate(((candidate, data), (other, other_data or data))):
        for seed in seeds:
            every = f"{name}_{place}_*"
            own = sorted(folder.glob(f"{every}_{seed}.parquet")) or sorted(folder.glob(f"{every}.parquet"))
            runs.append(read_parquet(own[0]).set_index("date"))
            cells.append(cell)
            numbers.append(seed)
    days = runs[0].index
    if any(not days.equals(one.index) for one in runs):
        raise ValueError(f"{candidate} and {other} were measured on other days of {data}")
    daily = np.vstack([one["loss"].to_numpy() for one in runs])
    sign = np.where(np.array(cells) == 0, 1.0, -1.0) / len(seeds)
    together = Runs(daily, np.array(cells), np.array(numbers), horizon, runs[0]["rows"].to_numpy())
    return estimate(together, sign, confidence=_CONFIDENCE)


def mean_ranks(rows: pd.DataFrame, candidates: Sequence[str]) -> pd.DataFrame:
    """(measure, candidate) mean rank over seeds, 1 the best, of every measure that all candidates have.

    rows: shares and skills. A measure is a data set at a budget.
    """
    wide = rows[rows["candidate"].isin(candidates)].pivot_table(
        index=["data", "budget", "seed"], columns="candidate", values="value"
    )
    whole = wide.reindex(columns=list(candidates)).dropna()
    return whole.rank(axis=1, ascending=False).groupby(["data", "budget"]).mean()


@dataclass(frozen=True)
class Standing:
    """A finalist in the decision. behind: its mean rank less the best one's, paired over measures."""

    candidate: str
    rank: float
    behind: float
    error: float
    settings: int  # that differ from the author's
    seconds: float
    found_in_noise: int | None
    worse_on: tuple[str, ...]  # real measures on which it is established worse than the author's

    @property
    def eligible(self) -> bool:
        return (self.found_in_noise or 0) <= _MOST_FOUND_IN_NOISE and not self.worse_on

    @property
    def close(self) -> bool:
        """Within one standard error of the best mean rank."""
        return self.behind <= self.error or self.behind == 0


def standings(
    rows: pd.DataFrame, protocol: Protocol, candidates: Sequence[str], worse_on: dict[str, tuple[str, ...]]
) -> list[Standing]:
    """All finalists, the best mean rank first. worse_on: of whom the losses per day say so."""
    ranks = mean_ranks(rows[rows["measure"].isin(["share", "skill"])], candidates)
    noise = rows[rows["measure"] == "noise"]
    eligible = [
        name for name in candidates
        if _found(noise, name) in (None, *range(_MOST_FOUND_IN_NOISE + 1)) and not worse_on.get(name)
    ]  # fmt: skip
    best = ranks[eligible].mean().idxmin()
    told = []
    for name in ranks.mean().sort_values().index:
        gap = student((ranks[name] - ranks[best]).to_numpy())
        mine = rows[rows["candidate"] == name]
        told.append(
            Standing(
                name, float(ranks[name].mean()), gap.mean, gap.error, len(protocol.changes(name)),
                float(mine["seconds"].mean()), _found(noise, name), worse_on.get(name, ()),
            )
        )  # fmt: skip
    return told


def decide(told: list[Standing]) -> Standing:
    """The eligible finalist of fewest settings within one standard error of the best; of equals the cheaper."""
    close = [one for one in told if one.eligible and one.close]
    return min(close, key=lambda one: (one.candidate != AUTHOR, one.settings, one.seconds))


def _found(noise: pd.DataFrame, candidate: str) -> int | None:
    own = noise[noise["candidate"] == candidate]
    return int((own["low"] > 0).sum()) if len(own) else None
