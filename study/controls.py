"""controls: planted markets and simulated panels through the whole pipeline -> docs/controls.md

Reads  params.yaml, for all that a control does not set itself; study/controls.yaml, the ladders
Writes results/controls.csv   one row per planted market and version of the code; a row that is there is not measured
                              again
       results/ledger.csv     a row per run of a ladder, as of every experiment; what is there is not run again
       results/noiseless.csv  what these runs lose in expectation over the draw of the next day
       docs/controls.md       verdicts of the ladders; planted markets: loss beside the bound, share of skill found
       docs/controls.png      the ladders side by side
Why    a null result on real prices means something only if the same pipeline finds a signal that is there, and the
       same verdict calls a law one where there is one, and none where there is none.

    python -m study.controls
    python -m study.controls --only teacher walk --budgets 10K 30K 100K --jobs 1
    python -m study.controls --only page
"""

import argparse
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.evaluation.metrics import Score
from finscale.imports import read_sources
from finscale.pages.render import render
from finscale.scaling.lines import read_to_extend
from finscale.sources.config import SimulatedConfig
from finscale.storage import write_csv, write_text
from study.experiments import code_hash
from study.ladders import run_ladder
from study.ladders_page import told_of_ladders
from study.planted import Found, measure, run_stages, share_after_instance_norm

TABLE = Path("results/controls.csv")
PAGE = Path("docs/controls.md")
COLUMNS = (
    "tier", "complexity", "budget", "sessions", "epochs", "learning rate", "training days", "bound", "test loss",
    "skill over the base rate", "above the law", "share", "code",
)  # fmt: skip
_INTERVAL = re.compile(r"(\S+) \((\S+) to (\S+)\)")
FIGURE = Path("docs/controls.png")
PLANTED, LADDER_PHASES, NOTHING = "planted", ("teacher", "walk", "data", "dense"), "page"
SIGNAL = 1.0  # at complexity 1 the best log-loss is then 1/2
CONTEXTS = (30, 60, 120)


@dataclass(frozen=True)
class Control:
    """What one run sets; the last years of every market are its test, the rest of its sessions come before."""

    sessions: int
    budget: str = "10K"
    tier: str = "a20"
    complexity: int = 1
    epochs: int = 8
    learning_rate: float = 0.001

    def settings(self) -> dict[str, Any]:
        market = {"market": "planted", "sessions": self.sessions, "signal": SIGNAL, "complexity": self.complexity}
        train = {"epochs": self.epochs, "patience": self.epochs, "learning_rate": self.learning_rate}
        axes = {"source": "simulated", "task": "direction", "horizon": 1, "tier": self.tier, "budget": self.budget}
        return axes | {"data": {"simulated": market}, "train": train}

    def told(self) -> dict[str, str]:
        """The settings as the table has them."""
        names = ("tier", "complexity", "budget", "sessions", "epochs", "learning_rate")
        return {name.replace("_", " "): f"{getattr(self, name)}" for name in names}


GRID = (
    *(Control(sessions, budget) for budget in ("10K", "30K") for sessions in (2000, 4000, 8000)),
    Control(2000, epochs=123),  # as many steps as on the longest history
    Control(4000, epochs=30, learning_rate=0.0001),  # trained as params.yaml says
    *(Control(sessions, complexity=2) for sessions in (4000, 8000)),
    Control(4000, tier="a50"),
)


def interval(score: Score) -> str:
    return f"{score.value:.4f} ({score.low:.4f} to {score.high:.4f})"


def row(control: Control, code: str, found: Found) -> dict[str, str]:
    return {
        **control.told(),
        "training days": f"{found.train_rows}",
        "bound": f"{found.bound:.4f}",
        "test loss": interval(found.loss),
        "skill over the base rate": interval(found.skill),
        "above the law": interval(found.above_law),
        "share": f"{found.share:.2f}",
        "code": code,
    }


def run_control(control: Control) -> Found:
    """One run in a workspace that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        run_stages(Path(folder), control.settings())
        return measure(Path(folder))


def check_row(values: Mapping[str, str]) -> None:
    """Raise ValueError for a row that no control has left: a share that is no number, a value outside its interval."""
    int(values["training days"]), float(values["share"])
    for name in ("test loss", "skill over the base rate", "above the law"):
        found = _INTERVAL.fullmatch(values[name])
        if not found or not float(found[2]) <= float(found[1]) <= float(found[3]):
            raise ValueError(f"{name} = {values[name]!r} is no value within its interval")


def known() -> dict[tuple[str, ...], dict[str, str]]:
    """The rows so far, by what they set and the version of the code."""
    rows = read_to_extend(TABLE, COLUMNS, check_row).rows
    return {(*(row[name] for name in GRID[0].told()), row["code"]): row for row in rows}


def normed(complexity: int) -> dict[str, str]:
    config = SimulatedConfig(market="planted", signal=SIGNAL, complexity=complexity)
    shares = {f"context {length}": f"{share_after_instance_norm(config, length):.2f}" for length in CONTEXTS}
    return {"complexity": f"{complexity}"} | shares


def measure_planted() -> None:
    """Run the rows of GRID that this version of the code lacks."""
    code = code_hash(read_sources())
    rows = known()
    for control in GRID:
        key = (*control.told().values(), code)
        if key not in rows:
            rows[key] = row(control, code, run_control(control))
            write_csv(TABLE, pd.DataFrame(rows.values()))
        print(f"controls: {', '.join(key)}: share {rows[key]['share']}", flush=True)


def planted_rows() -> list[dict[str, str]]:
    """The rows of GRID that have been measured, each of the newest code: the last of them in the file."""
    newest = {key[:-1]: one for key, one in known().items()}
    found = [newest[key] for control in GRID if (key := tuple(control.told().values())) in newest]
    return [{name: value for name, value in one.items() if name not in ("code", "sessions")} for one in found]


def page() -> str:
    ladders = told_of_ladders(FIGURE)
    norm = [normed(complexity) for complexity in (1, 2)]
    return render("controls.md.j2", signal=f"{SIGNAL:g}", runs=planted_rows(), norm=norm, **ladders)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = (PLANTED, *LADDER_PHASES)
    parser.add_argument("--only", nargs="+", choices=(*parts, NOTHING), default=parts, help="page: run nothing")
    parser.add_argument("--budgets", nargs="+", help="sizes of the ladders to run, all of them unless given")
    parser.add_argument("--jobs", type=int, default=2, help="experiments side by side")
    asked = parser.parse_args()
    if PLANTED in asked.only:
        measure_planted()
    for phase in (one for one in LADDER_PHASES if one in asked.only):
        run_ladder(phase, asked.jobs, asked.budgets)
    write_text(PAGE, page())
    print(f"controls: {PAGE}, {FIGURE}")


if __name__ == "__main__":
    run(main)
