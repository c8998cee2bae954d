"""What the campaign is made of: trials of a fault in a small finished workspace, and the table that they come to."""

import csv
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.pipeline.conftest import Workspace, small_clone

ROOT = Path(__file__).parents[2]
TABLE, PAGE = ROOT / "results/faults.csv", ROOT / "docs/faults.md"
COLUMNS = ("part", "fault", "tried", "survived", "lost", "message")
MEASURED = "models/runtime.json"  # the one output that differs between repeats
BEGIN, END = "<!-- made by `make faults` -->", "<!-- end -->"


@dataclass(frozen=True)
class Trial:
    """One fault that was made. survived: nothing was lost and nothing silent; message: what a user got to read."""

    fault: str
    survived: bool
    message: str


def prepared(folder: Path) -> Workspace:
    """The finished workspace in `folder`, made where it is not there yet: a minute on an idle machine."""
    if (folder / "finscale/.finished").exists():
        return Workspace(folder / "finscale")
    workspace = Workspace(folder / "finscale") if (folder / "finscale").exists() else small_clone(folder / "finscale")
    subprocess.run(["dvc", "repro"], cwd=workspace.path, env=environment(), check=True)  # as long as it takes
    workspace.commit("small configuration")
    (workspace.path / ".git/info/exclude").write_text(".finished\n")
    (workspace.path / ".finished").touch()
    return workspace


def environment(**more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1"} | more


def stages_of(workspace: Path) -> dict[str, dict]:
    told: dict[str, dict] = yaml.safe_load((workspace / "dvc.yaml").read_text())["stages"]
    return told


def outs_of(stage: Mapping[str, list]) -> list[Path]:
    listed = [out for kind in ("outs", "metrics") for out in stage.get(kind, [])]
    return [Path(out if isinstance(out, str) else next(iter(out))) for out in listed]


def contents(workspace: Path, outs: Iterable[Path]) -> dict[str, bytes]:
    """Every file of these outputs, but what is measured."""
    files = (file for out in outs for file in _files(workspace / out))
    found = {file.relative_to(workspace).as_posix(): file.read_bytes() for file in files}
    return {name: content for name, content in found.items() if name != MEASURED}


def run_stage(stage: str, workspace: Path, timeout: float = 300, **more: str) -> tuple[int, str]:
    """`python -m stages.<stage>`, as DVC runs it; exit status and all that it printed."""
    command = [sys.executable, "-m", f"stages.{stage}"]
    done = subprocess.run(
        command, cwd=workspace, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=timeout, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.decode(errors="replace")


def last_words(told: str) -> str:
    """What a user reads last: the stage's own error, or the last line."""
    lines = [line.strip() for line in told.splitlines() if re.search(r"\w", line)]  # no rule, no empty line
    said = [line for line in lines if line.startswith(("error: ", "train: stopped", "tune: stopped"))]
    return (said or lines or [""])[-1]


def read_rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(TABLE.read_text(encoding="utf-8")))) if TABLE.exists() else []


def rows_of(part: str, trials: list[Trial], folder: Path) -> list[dict[str, str]]:
    """One row per fault. The message is that of a trial that was lost, where there is one, its paths from `folder`."""
    rows = []
    for fault in dict.fromkeys(trial.fault for trial in trials):
        mine = [trial for trial in trials if trial.fault == fault]
        lost = [trial for trial in mine if not trial.survived]
        message = (lost or mine)[0].message.replace(f"{folder}/", "")
        counts = {"tried": len(mine), "survived": len(mine) - len(lost), "lost": len(lost)}
        rows.append({"part": part, "fault": fault, **{k: f"{v}" for k, v in counts.items()}, "message": message[:240]})
    return rows


def write_table(part: str, trials: list[Trial], folder: Path, whole: bool = True) -> None:
    """Put this part's rows in the place of its earlier ones, in results/faults.csv and in docs/faults.md.

    whole: whether every fault of the part was tried; else the rows of other faults stay.
    """
    new = rows_of(part, trials, folder)
    faults = {row["fault"] for row in new}
    kept = [row for row in read_rows() if row["part"] != part or not (whole or row["fault"] in faults)]
    rows = kept + new
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["part"]))
    TABLE.write_text(text.getvalue(), encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{_markdown(read_rows())}\n{END}{after}", encoding="utf-8")


def _markdown(rows: list[dict[str, str]]) -> str:
    parts = []
    for part in dict.fromkeys(row["part"] for row in rows):
        mine = [row for row in rows if row["part"] == part]
        tried, lost = (sum(int(row[name]) for row in mine) for name in ("tried", "lost"))
        lines = [
            f"## {part}: {tried} tried, {lost} lost",
            "",
            f"| {' | '.join(COLUMNS[1:])} |",
            "|---|--:|--:|--:|---|",
        ]
        lines += [f"| {' | '.join(_cell(row[name]) for name in COLUMNS[1:])} |" for row in mine]
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
