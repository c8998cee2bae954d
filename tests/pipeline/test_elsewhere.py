"""A run that another machine trains comes back as the experiment that this one would have made."""

import json
import platform
import shutil
import subprocess
import venv
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pandas as pd
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.pipeline.conftest import Workspace

pytestmark = pytest.mark.slow  # two to four minutes: `make test-slow`

LIST = {"settings": {"budget": "10K"}, "experiments": [{"seed": [0, 1]}]}
# What such a machine has (docs/gpu.md), beside the packages of requirements-device.txt.
THERE = ("torch", "pandas", "pyarrow", "safetensors", "psutil", "PyYAML", "tqdm")


@pytest.fixture(scope="module")
def packed(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path]:
    """A workspace, and a pack of two seeds made in it."""
    workspace = Workspace(tmp_path_factory.mktemp("elsewhere") / "finscale")
    shutil.copytree(finished.path, workspace.path, symlinks=True)
    (workspace.path / "runs.yaml").write_text(yaml.safe_dump(LIST))
    told = workspace.run("python", "-m", "study.elsewhere", "pack", "runs.yaml", "-o", "../pack")
    assert "pack: 2 runs" in told
    return workspace, workspace.path.parent / "pack"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with those packages alone, and what they require; by links, so it takes no time."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    listed = Path("requirements-device.txt").read_text().splitlines()
    pending = [*THERE, *(line.partition("==")[0] for line in listed if "==" in line and not line.startswith("#"))]
    known: set[str] = set()
    while pending:
        name = pending.pop()
        if canonicalize_name(name) in known:
            continue
        known.add(canonicalize_name(name))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform
        for top in {file.parts[0] for file in found.files or [] if file.parts[0] != ".."}:
            if not (site / top).exists():
                (site / top).symlink_to(found.locate_file(top))
        wanted = [Requirement(text) for text in found.requires or []]
        pending += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    assert not {"dvc", "dvclive", "scikit-learn", "scipy", "catboost"} & known
    return folder / "bin/python"


def run_there(python: Path, pack: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "run.py", *arguments], cwd=pack, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(packed: tuple[Workspace, Path], bare: Path) -> tuple[Workspace, Path]:
    workspace, pack = packed
    done = run_there(bare, pack)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 runs are complete" in done.stdout
    return workspace, pack


def test_no_label_of_a_test_day_travels(packed: tuple[Workspace, Path]) -> None:
    workspace, pack = packed
    (inputs,) = (pack / "inputs").iterdir()  # two seeds share their rows
    features = pd.read_parquet(inputs / "data/processed/test.parquet")
    assert "label" not in features
    assert not list(pack.rglob("*label*.parquet"))
    labels = pd.read_parquet(workspace.path / "data/processed/test_labels.parquet").set_index("date")["label"]
    kept = pd.read_parquet(workspace.path / "data/processed/test.parquet")
    assert reveals(kept, "last_known", labels)  # here it lies: the baselines need it
    assert not [name for name in features.select_dtypes("number") if reveals(features, name, labels)]
    pd.testing.assert_frame_equal(features.drop(columns="last_known"), kept.drop(columns="last_known"))


def reveals(rows: pd.DataFrame, name: str, labels: pd.Series) -> bool:
    """Whether a column holds the labels, those of a day on that day or on one soon after: but for which are which."""
    column = rows.set_index("date")[name]
    told = (pd.DataFrame({"told": column.shift(-days), "label": labels}).dropna() for days in range(15))
    return any(len(both) > 100 and (both.groupby("told")["label"].nunique() == 1).all()
               and both["told"].nunique() == both["label"].nunique() for both in told)  # fmt: skip


def test_a_run_taken_is_the_run_that_this_machine_makes(trained: tuple[Workspace, Path]) -> None:
    workspace, pack = trained
    told = workspace.run("python", "-m", "study.elsewhere", "take", str(pack))
    assert "take: 2 of 2 runs recorded" in told
    workspace.run("python", "-m", "study.collect")
    ledger = pd.read_csv(workspace.path / "results/ledger.csv")
    here = pd.DataFrame(json.loads(workspace.read("metrics/experiment.json"))["scores"]["models"]["model"]["loss"], [0])
    (one,) = ledger[ledger["seed"] == 0].to_dict("records")
    assert one["test_loss"] == here["value"].item()
    assert (one["device"], one["machine"]) == ("cpu", platform.machine())
    again = workspace.run("python", "-m", "study.elsewhere", "take", str(pack))
    assert "take: 0 of 2 runs recorded" in again


def test_what_is_interrupted_counts_as_far_as_it_came(
    packed: tuple[Workspace, Path], bare: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(packed[1], tmp_path / "pack", ignore=shutil.ignore_patterns("results", "work"))
    assert "0 of 2 runs are complete" in run_there(bare, copy, "--seconds", "0").stdout
    assert packed[0].run("python", "-m", "study.elsewhere", "take", str(copy)).count("0 of 2") == 1


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda pack: (pack / "pack.json").unlink(), "is no pack"),
        (lambda pack: _edit_code(pack), "packed with other code than lies here (stages/train.py)"),
        (lambda pack: next(pack.glob("results/*/models/model.json")).write_text("{}"), "model.json missing or damaged"),
    ],
    ids=["no pack.json", "other code", "damaged result"],
)  # fmt: skip
def test_what_is_not_whole_is_refused_by_name(
    harm: Callable[[Path], object], said: str, trained: tuple[Workspace, Path], tmp_path: Path
) -> None:
    workspace, pack = trained
    copy = shutil.copytree(pack, tmp_path / "pack")
    harm(copy)
    ledger = (workspace.path / "results/ledger.csv").read_bytes()
    told = workspace.run("python", "-m", "study.elsewhere", "take", str(copy), ok=False)
    assert said in told
    assert "Traceback" not in told
    assert (workspace.path / "results/ledger.csv").read_bytes() == ledger


def test_a_pack_copied_in_part_does_not_run(packed: tuple[Workspace, Path], bare: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(packed[1], tmp_path / "pack", ignore=shutil.ignore_patterns("results", "work"))
    next(copy.rglob("development.parquet")).unlink()
    done = run_there(bare, copy)
    assert done.returncode == 1
    assert "development.parquet missing or changed; copy it again" in done.stderr


def _edit_code(pack: Path) -> None:
    told = json.loads((pack / "pack.json").read_text())
    told["files"]["code/stages/train.py"] = "0" * 64
    (pack / "pack.json").write_text(json.dumps(told))
