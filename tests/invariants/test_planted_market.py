"""Where there is something to find, the pipeline's own transformer finds it, and never more than there is.

Every stage runs as it is on `source: simulated, market: planted`; what the law says of every day is known. The numbers
that the assertions leave room around are measured: docs/controls.md has a table of such runs.
"""

from pathlib import Path
from typing import Any

import pytest

from finscale.sources.config import SimulatedConfig
from study.planted import Found, measure, run_stages, share_after_instance_norm

TRAIN: dict[str, Any] = {"epochs": 6, "learning_rate": 0.002}
# Two patches: the law needs one day, and a pass over fewer tokens takes a third of the time.
SHORT: dict[str, Any] = {"model": {"context_length": 32, "patch_length": 16, "patch_stride": 16}}


def found(folder: Path, sessions: int, signal: float, budget: str, train: dict[str, Any]) -> Found:
    """One run of the pipeline on a planted market, in a folder that is made for it."""
    folder.mkdir(exist_ok=True)
    market = {"market": "planted", "sessions": sessions, "signal": signal}
    axes = {"source": "simulated", "task": "direction", "horizon": 1, "budget": budget}
    run_stages(folder, axes | {"data": {"simulated": market}, "train": train, "baselines": {"catboost_iterations": 20}})
    return measure(folder)


def check_honest(one: Found) -> None:
    """Skill beyond chance, and no loss below what the law itself has on the same days."""
    assert one.skill.low > 0
    assert one.above_law.high > 0
    assert one.loss.high > one.bound
    assert one.share < 1


def test_the_transformer_finds_a_planted_signal_and_never_more_than_there_is(tmp_path: Path) -> None:
    one = found(tmp_path, 2500, 2.0, "10K", TRAIN | SHORT)  # the best log-loss is 0.32
    check_honest(one)
    assert 9_800 <= one.params <= 10_200
    assert one.share > 0.3  # measured 0.49


@pytest.mark.slow
def test_with_more_history_it_comes_closer_to_the_bound(tmp_path: Path) -> None:
    train = {"epochs": 8, "learning_rate": 0.001}
    short, long = (found(tmp_path / str(n), n, 1.0, "30K", train) for n in (2000, 8000))
    check_honest(long)
    assert long.share > 0.6  # measured 0.79, and 0.01 of the short one
    assert long.share > short.share + 0.3
    assert long.above_law.value < short.above_law.value


def test_instance_norm_takes_a_part_of_this_signal_away_the_less_the_longer_the_context() -> None:
    config = SimulatedConfig(market="planted", signal=1.0)
    shares = [share_after_instance_norm(config, length) for length in (24, 60, 120)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.84, abs=0.02)
    assert shares[2] == pytest.approx(0.965, abs=0.01)
