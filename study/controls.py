"""controls: planted markets through the whole pipeline -> docs/controls.md

Reads  params.yaml, for all that a control does not set itself
Writes docs/controls.md  per length of history, budget and law: loss beside the bound, and the share of skill found
Why    a null result on real prices means something only if the same pipeline finds a signal that is there.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from tabulate import tabulate

from finscale.cli import run
from finscale.evaluation.metrics import Score
from finscale.sources.config import SimulatedConfig
from finscale.storage import write_text
from study.planted import Found, measure, run_stages, share_after_instance_norm

PAGE = Path("docs/controls.md")
SIGNAL = 1.0  # at complexity 1 the best log-loss is then 1/2
TRAIN: dict[str, Any] = {"epochs": 8, "learning_rate": 0.001}

# tier, complexity, budget, sessions; the last ones of these are always the same years of test.
GRID = [
    *(("a20", 1, budget, sessions) for budget in ("10K", "30K") for sessions in (2000, 4000, 8000)),
    *(("a20", 2, "10K", sessions) for sessions in (4000, 8000)),
    ("a50", 1, "10K", 4000),
]

HEAD = """# Controls: does the pipeline find what is there?

Made by `python -m study.controls` (about ten minutes on 2 cores). Every row is one run of all stages on
`source: simulated, data.simulated.market: planted`: tomorrow's chance of a rise follows from today's return by a known
law, so that the best log-loss is one integral. Task `direction`, horizon 1, signal {signal:g}, {train}, the rest as in
params.yaml; one seed per row, and a market of its own for each length.

- **bound**: the best mean log-loss of any forecast (nats; 0.6931 knows nothing).
- **above the law**: test loss minus that of the law itself on the same days, 95 % by block bootstrap. An interval
  below 0 would be a leak.
- **share**: skill of the model over the skill there is, in expectation over each next day's draw; 1 at the bound, 0 at
  the base rate.

"""

NORM = """
## What instance norm costs here

The law depends on the size of today's return against its own fixed scale. Instance norm takes mean and scale out of
each window, and the window's own estimates of them are noisy: the newest return alone then holds, at best, this share.

"""


def interval(score: Score) -> str:
    return f"{score.value:.4f} ({score.low:.4f} to {score.high:.4f})"


def row(tier: str, complexity: int, budget: str, sessions: int, found: Found) -> dict[str, object]:
    return {
        "tier": tier,
        "complexity": complexity,
        "budget": budget,
        "training days": found.train_rows,
        "bound": f"{found.bound:.4f}",
        "test loss": interval(found.loss),
        "skill over the base rate": interval(found.skill),
        "above the law": interval(found.above_law),
        "share": f"{found.share:.2f}",
    }


def control(tier: str, complexity: int, budget: str, sessions: int) -> Found:
    """One run in a workspace that goes away."""
    market = {"market": "planted", "sessions": sessions, "signal": SIGNAL, "complexity": complexity}
    axes = {"source": "simulated", "task": "direction", "horizon": 1, "tier": tier, "budget": budget}
    with tempfile.TemporaryDirectory() as folder:
        run_stages(Path(folder), axes | {"data": {"simulated": market}, "train": TRAIN})
        return measure(Path(folder))


def norm_rows() -> list[dict[str, object]]:
    lengths = (30, 60, 120)
    return [
        {"complexity": complexity}
        | {f"context {length}": f"{share_after_instance_norm(config_of(complexity), length):.2f}" for length in lengths}
        for complexity in (1, 2)
    ]


def config_of(complexity: int) -> SimulatedConfig:
    return SimulatedConfig(market="planted", signal=SIGNAL, complexity=complexity)


def page(rows: list[dict[str, object]], normed: list[dict[str, object]]) -> str:
    settings = ", ".join(f"train.{name} {value}" for name, value in TRAIN.items())
    tables = [tabulate(table, headers="keys", tablefmt="github", disable_numparse=True) for table in (rows, normed)]
    return HEAD.format(signal=SIGNAL, train=settings) + tables[0] + "\n" + NORM + tables[1] + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=len(GRID), help="only so many rows, and nothing is written")
    asked = parser.parse_args()
    rows, started = [], time.monotonic()
    for setting in GRID[: asked.first]:
        rows.append(row(*setting, control(*setting)))
        print(f"controls: {rows[-1]} after {time.monotonic() - started:.0f} s", flush=True)
    if asked.first >= len(GRID):
        write_text(PAGE, page(rows, norm_rows()))
        print(f"controls: {len(rows)} runs in {PAGE}")


if __name__ == "__main__":
    run(main)
