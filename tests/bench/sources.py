"""Validation and dictionary of all real series of ../shared/data/market: `python -m tests.bench.sources`.

Prints the median of five, stages started as DVC starts them (imports included).
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from tabulate import tabulate

ROOT = Path(__file__).parents[2]
MARKET = ROOT.parent / "shared/data/market"
ROUNDS = 5
DATA = {"start": "1990-01-01", "end": "2021-09-07", "directory": str(MARKET)}
SPLIT = {"train_end": "2017-12-29", "validation_end": "2019-12-31", "test_end": None}
BEFORE = ("download", "validate", "resample", "align", "features", "label", "dataset")


def run(stage: str, folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", f"stages.{stage}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def prepare(folder: Path) -> None:
    """The code, and params.yaml set to the largest data set that these series make (Ec)."""
    for name in ("finscale", "stages"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params |= {"source": "directory", "assets": "E", "quality": "c"}
    params["data"] |= DATA
    params["dataset"]["split"]["live"] = SPLIT
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def main() -> None:
    if not MARKET.is_dir():
        sys.exit(f"{MARKET} is not on this machine")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for stage in BEFORE:
            run(stage, folder)
        times = {stage: [run(stage, folder) for _ in range(ROUNDS)] for stage in ("validate", "dictionary")}
    rows = [{"stage": stage, "median s": f"{statistics.median(own):.2f}"} for stage, own in times.items()]
    total = sum(statistics.median(own) for own in times.values())
    print(tabulate([*rows, {"stage": "both", "median s": f"{total:.2f}"}], headers="keys", disable_numparse=True))
    print(f"load average {os.getloadavg()[0]:.1f}; limit 10 s")


if __name__ == "__main__":
    main()
