"""A small experiment in a temporary clone: the real stages, the real DVC, little training."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SMALL = {
    "budget": "10K",
    "train": {"epochs": 2},
    "baselines": {"catboost_iterations": 20},
    "evaluate": {"resamples": 200},
}


@dataclass(frozen=True)
class Workspace:
    """A clone of this repository, with the working tree's files, in which commands are run."""

    path: Path

    def run(self, *command: str, ok: bool = True) -> str:
        """Run a command as a user would; returns stdout and stderr together."""
        bin_folder = str(Path(sys.executable).parent)
        environment = os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
        # Queue workers inherit stdout and live on: a file takes it, a pipe would never close.
        log = self.path.parent / f"{self.path.name}.log"
        with log.open("w") as out:
            done = subprocess.run(
                command, cwd=self.path, env=environment, stdout=out, stderr=subprocess.STDOUT, timeout=400, check=False
            )
        told = log.read_text()
        assert (done.returncode == 0) == ok, f"{' '.join(command)} gave {done.returncode}:\n{told}"
        return told

    def set_params(self, **changes: object) -> None:
        """Change axes, or single keys of a block."""
        path = self.path / "params.yaml"
        values = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            values[key] = values[key] | value if isinstance(value, dict) else value
        path.write_text(yaml.safe_dump(values, sort_keys=False))

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", message)

    def read(self, path: str) -> str:
        return (self.path / path).read_text()

    def outputs(self) -> dict[str, bytes]:
        """Every file that the pipeline has made."""
        folders = ("data", "models", "metrics", "plots", "reports", "dvclive")
        files = (file for folder in folders for file in sorted((self.path / folder).rglob("*")) if file.is_file())
        return {str(file.relative_to(self.path)): file.read_bytes() for file in files}


def small_clone(path: Path) -> Workspace:
    """A clone set to a small configuration, in which nothing has been run."""
    workspace = Workspace(path)
    subprocess.run(["git", "clone", "-q", str(ROOT), str(workspace.path)], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (workspace.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, workspace.path / name)
    workspace.run("git", "config", "user.email", "tests@localhost")
    workspace.run("git", "config", "user.name", "tests")
    workspace.set_params(**SMALL)
    # Results committed for the full-size run are not this one's: start without them.
    for folder in ("metrics", "plots", "reports"):
        shutil.rmtree(workspace.path / folder, ignore_errors=True)
    header = (ROOT / "results/ledger.csv").read_text().partition("\n")[0]
    (workspace.path / "results/ledger.csv").write_text(f"{header}\n")
    (workspace.path / "results/settings.json").write_text("{}\n")
    return workspace


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone after its first `dvc repro` on a small configuration; tests work on copies of it."""
    workspace = small_clone(tmp_path_factory.mktemp("clone") / "finscale")
    workspace.run("dvc", "repro")
    workspace.commit("small configuration")
    return workspace


@pytest.fixture
def clone(finished: Workspace, tmp_path: Path) -> Workspace:
    """A fresh copy of the finished workspace."""
    shutil.copytree(finished.path, tmp_path / "finscale", symlinks=True)
    return Workspace(tmp_path / "finscale")


@pytest.fixture(scope="session")
def development(rows: pd.DataFrame) -> pd.DataFrame:
    """Four years of rows: short runs of the stage `train`."""
    recent = rows[(rows["split"] != "test") & (rows["date"] >= "2011-01-01")].reset_index(drop=True)
    # The first rows of the cut are context only.
    recent.loc[recent.index < 128, ["split", "label"]] = ["none", None]
    return recent
