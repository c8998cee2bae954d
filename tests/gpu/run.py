"""What a quarter of an hour with a GPU is for: tests, bench and, where one is given, a pack, with one summary.

    python -m tests.gpu.run OUT [--pack DIR]         (make gpu PACK=DIR)

Each step has a time limit, after which it is ended with all that it began; what it wrote until then counts.
OUT/summary.md and OUT/summary.json are written anew after each step, logs lie beside them. Needs nothing beyond the
standard library itself; docs/gpu.md names what the steps need.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TOLD = re.compile(r"^(tests/\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED)\b")
_LAST_LINES = 30


@dataclass
class Step:
    name: str
    command: list[str]
    limit: float  # seconds
    cwd: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    outcome: str = "not run"  # ok | failed (code) | ended after its limit
    counts: dict[str, int] = field(default_factory=dict)
    told: str = ""  # what the summary shows of it


def run(step: Step, out: Path) -> None:
    """Run a step to its end or its limit; its output goes to OUT/<name>.log."""
    log, began = out / f"{step.name}.log", time.monotonic()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    with log.open("w") as written:
        process = subprocess.Popen(
            step.command, cwd=step.cwd, stdout=written, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=environment | step.environment | {"PYTHONUNBUFFERED": "1"}, start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(step.limit)
            step.outcome = "ok" if code == 0 else f"failed ({code})"
        except subprocess.TimeoutExpired:
            step.outcome = f"ended after its limit of {step.limit:.0f} s"
        finally:
            _end_group(process)
    step.seconds = round(time.monotonic() - began, 1)
    step.told = "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what the step began, too."""
    with suppress(ProcessLookupError):  # it is at its end with all its children
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def read_tests(step: Step, log: str) -> None:
    """Counts from pytest's lines, which are there also where it was ended early; failures with their reasons."""
    told = [found for line in log.splitlines() if (found := _TOLD.match(line))]
    step.counts = dict(Counter(one[2].lower() for one in told))
    failed = [one[1] for one in told if one[2] in ("FAILED", "ERROR")]
    reasons = [line[2:].strip() for line in log.splitlines() if line.startswith("E  ")]
    step.told = "\n".join(["not passed:", *failed, "", *reasons[:_LAST_LINES]]) if failed else "all that ran passed"


def steps_of(given: argparse.Namespace, out: Path) -> list[Step]:
    python, device = sys.executable, given.device
    about = f"import torch, transformers; print(torch.__version__, torch.version.cuda, transformers.__version__); torch.empty(1, device={device!r})"  # noqa: E501
    bench = ["-m", "tests.bench.engine", "--device", device, "--out", str(out / "bench")]
    bench += ["--seconds", str(given.bench_limit - 5), *(["--quick"] if device == "cpu" else [])]
    # The conftest of all tests needs more than such a machine has. Warnings are no failures there.
    tests = ["-m", "pytest", "--confcutdir", "tests/gpu", "tests/gpu", "-v", "-W", "default", "-p", "no:cacheprovider"]
    rehearsed = {"TRITON_INTERPRET": "1"} if device == "cpu" else {}  # Triton's kernels, too
    made = [
        Step("machine", [python, "-c", about], 60),
        Step("tests", [python, *tests], given.tests_limit, environment=rehearsed),
        Step("bench", [python, *bench], given.bench_limit),
    ]
    if given.pack:
        made.append(
            Step(
                "pack",
                [python, "run.py", "--jobs", "2", "--seconds", f"{given.pack_limit - 40:.0f}"],
                given.pack_limit,
                cwd=given.pack.resolve(),
            )
        )
    return made


def summary(steps: list[Step]) -> str:
    lines = ["| step | outcome | seconds | |", "|---|---|---|---|"]
    for step in steps:
        counts = ", ".join(f"{count} {name}" for name, count in step.counts.items())
        lines.append(f"| {step.name} | {step.outcome} | {step.seconds:.0f} | {counts} |")
    for step in steps:
        lines += ["", f"## {step.name}", step.told if step.name == "bench" else f"```\n{step.told}\n```"]
    return "\n".join(lines) + "\n"


def write(steps: list[Step], out: Path) -> None:
    told = [asdict(step) | {"cwd": step.cwd.name} for step in steps]
    (out / "summary.json").write_text(json.dumps(told, indent=2) + "\n")
    (out / "summary.md").write_text(summary(steps))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("out", type=Path, help="a folder for summary, logs and results")
    parser.add_argument("--pack", type=Path, help="a folder that study.elsewhere made: its run.py trains what it holds")
    parser.add_argument(
        "--device", default="cuda", choices=["cuda", "cpu"], help="cpu: a rehearsal, with a small bench"
    )
    parser.add_argument("--tests-limit", type=float, default=130, metavar="SECONDS")
    parser.add_argument("--bench-limit", type=float, default=180, metavar="SECONDS")
    parser.add_argument("--pack-limit", type=float, default=270, metavar="SECONDS")
    given = parser.parse_args()
    if given.pack and not (given.pack / "run.py").is_file():
        sys.exit(f"gpu: {given.pack}: no run.py there; `python -m study.elsewhere pack` makes such a folder")
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    steps = steps_of(given, out)
    for step in steps:
        print(f"gpu: {step.name}, at most {step.limit:.0f} s", flush=True)
        run(step, out)
        if step.name == "tests":
            read_tests(step, (out / "tests.log").read_text(errors="replace"))
        if step.name == "bench" and (out / "bench/bench.md").is_file():
            step.told = (out / "bench/bench.md").read_text()
        write(steps, out)
        if step.name == "machine" and step.outcome != "ok":
            break  # nothing of the rest would run
    print(summary(steps))
    return 0 if all(step.outcome == "ok" for step in steps) else 1


if __name__ == "__main__":
    sys.exit(main())
