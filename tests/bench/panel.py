"""What a panel costs: FINSCALE_DATA=DIR python -m tests.bench.panel [--symbols 50 200 499] [--tiers a20 a50] [--judge]

Wall and processor seconds (user and system, of a stage and its workers) and the memory of its largest process,
in a clone of this commit in a temporary folder. DIR/ohlcv holds the series (`source: directory, assets: all`); of N
symbols every so-many-th file is taken, days from 2005 on. The splits end with 2012, 2013 and 2014, for a folder whose
data end in 2017. --judge: then the stages that train, judge and show, with one year of training, one epoch and 10K
parameters. On a machine that does other work, processor seconds are the measure.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from tabulate import tabulate

from tests.pipeline.conftest import Workspace, small_clone

DATA_STAGES = ("configure", "download", "validate", "resample", "align", "features", "label", "dataset")
JUDGING_STAGES = (
    "dataset", "tune", "train", "predict", "baselines", "evaluate", "trade", "meta", "dictionary", "feature_report",
    "scaling", "report",
)  # fmt: skip
SPLIT = {"train_end": "2012-12-31", "calibration_start": "2014-01-01", "validation_end": "2014-12-31", "test_end": None}


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float
    megabytes: float

    @property
    def words(self) -> str:
        return f"{self.wall:.1f} s, {self.cpu:.1f} cpu, {self.megabytes:,.0f} MB"


def measured(workspace: Workspace, stage: str, data: Path) -> Cost:
    """One stage run to its end. Raises RuntimeError with what it said where it fails."""
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        running = subprocess.Popen(
            [sys.executable, "-m", f"stages.{stage}"],
            cwd=workspace.path, env=os.environ | {"FINSCALE_DATA": str(data)}, stdout=said, stderr=said,
        )  # fmt: skip
        _, status, used = os.wait4(running.pid, 0)
        wall = time.perf_counter() - started
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode:
            said.seek(0)
            raise RuntimeError(f"{stage}: {said.read().decode()[-2000:]}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def folder_of(files: list[Path], symbols: int, place: Path) -> Path:
    """A folder of links to so many of the files, spread over the alphabet."""
    (place / "ohlcv").mkdir(parents=True)
    for number in range(symbols):
        path = files[number * len(files) // symbols]
        (place / "ohlcv" / path.name).symlink_to(path.resolve())
    return place


def of_panel(files: list[Path], symbols: int, tier: str, judge: bool) -> dict[str, Cost]:
    with tempfile.TemporaryDirectory() as place:
        data = folder_of(files, symbols, Path(place) / "data")
        workspace = small_clone(Path(place) / "clone")
        axes = {"source": "directory", "assets": "all", "tier": tier, "task": "direction"}
        workspace.set_params(**axes, data={"start": "2005-01-01", "end": "2017-11-10"},
                             train={"epochs": 1}, evaluate={"resamples": 2000})  # fmt: skip
        set_split(workspace)
        costs = {stage: measured(workspace, stage, data) for stage in DATA_STAGES}
        if judge:
            workspace.set_params(history=1)
            costs |= {f"{stage}, one year": measured(workspace, stage, data) for stage in JUDGING_STAGES}
    together = Cost(sum(costs[stage].wall for stage in DATA_STAGES), sum(costs[stage].cpu for stage in DATA_STAGES),
                    max(costs[stage].megabytes for stage in DATA_STAGES))  # fmt: skip
    return {"download to dataset": together} | costs


def set_split(workspace: Workspace) -> None:
    """The dates of a folder are those of live data, which a panel may end before."""
    values = yaml.safe_load(workspace.read("params.yaml"))
    workspace.set_params(dataset={"split": values["dataset"]["split"] | {"live": SPLIT}})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.panel", description="What a panel costs.")
    parser.add_argument("--symbols", type=int, nargs="+", default=[50, 200, 499])
    parser.add_argument("--tiers", nargs="+", default=["a20", "a50"])
    parser.add_argument("--judge", action="store_true")
    asked = parser.parse_args()
    files = sorted(Path(os.environ.get("FINSCALE_DATA", "")).glob("ohlcv/*.parquet"))
    if len(files) < max(asked.symbols):
        print(
            f"skipped: {max(asked.symbols)} symbols asked for, FINSCALE_DATA holds {len(files)} parquet files in ohlcv/"
        )
        return
    found = {}
    for tier in asked.tiers:
        for symbols in asked.symbols:
            found[f"{symbols}, {tier}"] = of_panel(files, symbols, tier, asked.judge)
            print(f"{symbols} symbols, {tier}: {found[f'{symbols}, {tier}']['download to dataset'].words}", flush=True)
    stages = list(next(iter(found.values())))
    rows = [[stage, *(costs[stage].words for costs in found.values())] for stage in stages]
    print(tabulate(rows, ["stage", *found], tablefmt="pipe"))


if __name__ == "__main__":
    main()
