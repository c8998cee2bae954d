"""run: the runs of this pack -> results/, one folder each

    python run.py                    every run that results/ lacks, in the order of pack.json
    python run.py --seconds 300      starts none after 300 seconds, and stops the one that then still trains
    python run.py --jobs 2           two side by side: small models leave a GPU idle
    python run.py --scratch /dev/shm/states   states of large models are gigabytes: a disk in memory takes them faster
    python run.py --weights          weights come along too; without them a result is small

Needs Python 3.11 or newer and the packages in requirements.txt; no network, no DVC, no compiler. Each run is
`python -m stages.train`, then `python -m stages.predict`, the stages as they are in the repository. Interrupted, the
same command goes on where it stopped; what is in results/ is complete, and counts whatever happens to the rest. A
second run.py in the same folder is refused.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS, WORK = HERE / "results", HERE / "work"
SMALL = ("models/model.json", "models/model_folds", "models/runtime.json", "dvclive",
         "data/processed/model_predictions.parquet")  # fmt: skip
WEIGHTS = ".safetensors"
TRAINED = "trained"  # in a workspace: `train` is over, its states are gone


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damaged(pack: dict) -> list[str]:
    """The files of the pack that are missing or not as they were packed."""
    return [
        name for name, known in pack["files"].items() if not (HERE / name).is_file() or digest(HERE / name) != known
    ]


def prepare(run: dict, workspace: Path) -> None:
    """The run's workspace: its own params.yaml, inputs and code by links."""
    (workspace / "data").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / run["params"], workspace / "params.yaml")
    inputs = HERE / run["inputs"]
    for folder in (workspace / "data/processed", workspace / "models"):
        folder.mkdir(parents=True, exist_ok=True)
    links = {workspace / name: HERE / "code" / name for name in ("finscale", "stages")}
    links |= {workspace / path.relative_to(inputs): path for path in (inputs / "data/processed").iterdir()}
    for link, target in links.items():
        link.unlink(missing_ok=True)
        link.symlink_to(target)


class StoppedError(Exception):
    """The time is over, or somebody has asked to stop."""


class Runner:
    """Runs stages as child processes until a moment; what still runs then is asked to save its state and stop."""

    def __init__(self, ends: float, scratch: Path) -> None:
        self.ends, self.scratch = ends, scratch

    def over(self) -> bool:
        return time.monotonic() > self.ends

    def stop(self) -> None:
        self.ends = float("-inf")

    def stage(self, name: str, workspace: Path) -> None:
        """Run one stage. Raises CalledProcessError where it failed, StoppedError where it had to be stopped."""
        command = [sys.executable, "-m", f"stages.{name}"]
        environment = os.environ | {"FINSCALE_SCRATCH": str(self.scratch), "PYTHONUNBUFFERED": "1"}
        with (workspace / f"{name}.log").open("w", encoding="utf-8") as log:
            # In this process's group: whoever ends the group leaves no orphan on the device.
            child = subprocess.Popen(command, cwd=workspace, env=environment, stdout=log, stderr=subprocess.STDOUT)
            while child.poll() is None and not self.over():
                time.sleep(0.05)
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=30)
                child.kill()
                raise StoppedError
        if child.returncode:
            time.sleep(0.2)  # Ctrl-C reaches the child, too: it may have stopped before this process was told to
            if self.over():
                raise StoppedError
            raise subprocess.CalledProcessError(
                child.returncode, command, (workspace / f"{name}.log").read_text(encoding="utf-8")
            )

    def run(self, run: dict, weights: bool) -> str:
        """Train and predict; returns what to say of it, '' where it was not begun or not finished."""
        if self.over():
            return ""
        started, workspace = time.monotonic(), WORK / run["name"]
        try:
            prepare(run, workspace)
            if not (workspace / TRAINED).exists():  # stopped in `predict`, it does not train again
                self.stage("train", workspace)
                (workspace / TRAINED).touch()
            self.stage("predict", workspace)
            keep(run, workspace, time.monotonic() - started, weights)
        except StoppedError:
            return ""
        except subprocess.CalledProcessError as error:
            return f"failed: {reason(error.output)}; {workspace.relative_to(HERE)} has the logs"
        except OSError as error:  # a full disk: what another run needs may still be there
            return f"failed: {error}"
        return f"{time.monotonic() - started:.1f} s"


def reason(log: str) -> str:
    """Why a stage failed: its own words, else the last ones."""
    lines = log.strip().splitlines() or ["its log is empty"]
    return ([line for line in lines if line.startswith("error: ")] or lines)[-1].removeprefix("error: ")


def keep(run: dict, workspace: Path, seconds: float, weights: bool) -> None:
    """The outputs of a complete run, with the digest of each, under its name; they appear together or not at all."""
    target, temporary = RESULTS / run["name"], RESULTS / f".tmp-{run['name']}"
    shutil.rmtree(temporary, ignore_errors=True)
    for name in SMALL:
        if (workspace / name).exists():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (workspace / name).is_dir() else shutil.copyfile
            copy(workspace / name, temporary / name)
    if weights:
        shutil.copyfile(workspace / "models/model.safetensors", temporary / "models/model.safetensors")
    for path in [] if weights else temporary.rglob(f"*{WEIGHTS}"):
        path.unlink()
    files = sorted(path for path in temporary.rglob("*") if path.is_file())
    told = {
        "run": run["name"], "pack": digest(HERE / "pack.json"), "seconds": round(seconds, 1),
        "python": platform.python_version(), "system": platform.platform(), "weights": weights,
        "files": {path.relative_to(temporary).as_posix(): digest(path) for path in files},
    }  # fmt: skip
    (temporary / "done.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    shutil.rmtree(workspace)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="when to stop, from now")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--scratch", type=Path, default=WORK / "scratch", help="where runs save their states")
    parser.add_argument("--weights", action="store_true", help="results hold the weights too")
    asked = parser.parse_args()
    if asked.jobs < 1 or not asked.seconds >= 0:
        parser.error(f"--jobs {asked.jobs} --seconds {asked.seconds:g}: at least 1, and at least 0")
    return asked


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the folder's lock: two processes would train in one workspace. Raises BlockingIOError where another does."""
    WORK.mkdir(exist_ok=True)
    with (WORK / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def work_off(pack: dict, runner: Runner, asked: argparse.Namespace) -> int:
    """Run all that results/ lacks; returns how many failed."""
    RESULTS.mkdir(exist_ok=True)
    todo = [run for run in pack["runs"] if not (RESULTS / run["name"] / "done.json").exists()]
    failed = 0
    with ThreadPoolExecutor(asked.jobs) as pool:
        for run, said in zip(todo, pool.map(lambda run: runner.run(run, asked.weights), todo), strict=True):
            failed += said.startswith("failed")
            if said:
                print(f"run: {run['name']}: {said}", flush=True)
    return failed


def main() -> int:
    asked = arguments()
    runner = Runner(time.monotonic() + asked.seconds, asked.scratch.resolve())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # under nohup, a closed terminal stops nothing
            signal.signal(number, lambda *_: runner.stop())
    pack = json.loads((HERE / "pack.json").read_text(encoding="utf-8"))
    if bad := damaged(pack):
        print(f"error: {HERE} is not the pack that was made: {', '.join(bad[:5])} missing or changed; copy it again",
              file=sys.stderr)  # fmt: skip
        return 1
    try:
        with alone():
            failed = work_off(pack, runner, asked)
    except BlockingIOError:
        print(f"error: another run.py works in {HERE}; it does all runs, `--jobs` of them at once", file=sys.stderr)
        return 1
    complete = sum((RESULTS / run["name"] / "done.json").exists() for run in pack["runs"])
    print(f"run: {complete} of {len(pack['runs'])} runs are complete in {RESULTS.name}/"
          + (f", {failed} failed" if failed else ""))  # fmt: skip
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
