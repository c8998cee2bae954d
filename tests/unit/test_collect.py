"""Finished experiments become rows of the ledger: once each, with their settings, and none that cannot be read."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from finscale.scaling.ledger import read_ledger
from finscale.scaling.results import load_experiment_results
from finscale.scaling.settings import (
    PLAIN,
    read_settings,
)
from tests.unit.test_settings import PARAMS, ROOT, changed

RUNTIME = json.dumps({"train_seconds": 50.0, "windows_per_second": 1200.0}).encode()
# Interrupted after the second epoch, which was logged again.
LOSSES = {
    "train": b"step\tloss\n1\t0.7\n2\t0.66\n2\t0.65\n3\t0.6\n",
    "validation": b"step\tloss\n1\t0.69\n2\t0.68\n3\t0.67\n",
}
LISTING = json.dumps(
    [
        {"md5": hashlib.md5(loss).hexdigest(), "relpath": f"plots/metrics/{name}/loss.tsv"}
        for name, loss in LOSSES.items()
    ]
).encode()


def result_of(epochs: int) -> bytes:
    """The committed result as a run of so many epochs would have recorded it."""
    told = json.loads((ROOT / "metrics/experiment.json").read_bytes())
    told["run"]["made_from"]["params"]["train"]["epochs"] = epochs
    return json.dumps(told).encode()


def lock_of(params: dict[str, Any]) -> dict[str, Any]:
    """dvc.lock of a run whose last stage read all settings and wrote its result."""
    result = hashlib.md5(result_of(params["train"]["epochs"])).hexdigest()
    outs = [{"path": "metrics/experiment.json", "md5": result}]
    download = {"outs": [{"path": "data/raw", "md5": "0123456789abcdef.dir"}]}
    logged = {"path": "dvclive", "md5": f"{hashlib.md5(LISTING).hexdigest()}.dir"}
    train = {"outs": [{"path": "models/runtime.json", "md5": hashlib.md5(RUNTIME).hexdigest()}, logged]}
    return {
        "stages": {"download": download, "train": train, "evaluate": {"params": {"params.yaml": params}, "outs": outs}}
    }


def write_pinned(repository: Path) -> None:
    """What training measured and logged, as DVC leaves it: contents in the cache, hashes in dvc.lock (lock_of)."""
    for content, ending in ((RUNTIME, ""), (LISTING, ".dir"), *((loss, "") for loss in LOSSES.values())):
        md5 = hashlib.md5(content).hexdigest() + ending
        held = repository / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
        held.parent.mkdir(parents=True, exist_ok=True)
        held.write_bytes(content)
    (repository / ".gitignore").write_text("/.dvc/cache\n")


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A repository with two finished experiments, of 30 and 60 epochs, made of the committed results."""

    def git(*command: str) -> str:
        name = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
        done = subprocess.run(["git", *name, *command], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    for folder in ("finscale", "stages", "study", "metrics"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    write_pinned(tmp_path)
    git("init", "-q")
    git("add", "params.yaml")
    git("commit", "-q", "-m", "baseline")
    baseline = git("rev-parse", "HEAD")
    for epochs in (30, 60):
        git("reset", "-q", "--soft", baseline)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed("train.epochs", epochs)))
        (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock_of(changed("train.epochs", epochs))))
        (tmp_path / "metrics/experiment.json").write_bytes(result_of(epochs))
        git("add", "-A")
        git("commit", "-q", "-m", f"{epochs} epochs")
        git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/epochs-{epochs}", "HEAD")
    git("reset", "-q", "--soft", baseline)
    return tmp_path


def test_two_collectors_write_each_run_and_its_settings_once_and_again_adds_nothing(finished: Path) -> None:
    def start() -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(finished)}
        command = [sys.executable, "-m", "study.collect"]
        return subprocess.Popen(command, cwd=finished, env=environment, stdout=subprocess.PIPE, text=True)

    both = [start(), start()]
    told = [one.communicate(timeout=120)[0] for one in both]
    assert sorted("2 new" in words for words in told) == [False, True], told
    ledger, known = (finished / "results" / name for name in ("ledger.csv", "settings.json"))
    assert load_experiment_results(ledger)["experiment"].nunique() == 2
    digests = read_ledger(ledger)["settings"].tolist()
    assert [read_settings(known)[one]["train.epochs"] for one in digests] == [30, 60]
    assert read_settings(known)[PLAIN]["train.epochs"] == PARAMS["train"]["epochs"]
    for key in read_ledger(ledger)["key"]:
        logged = pd.read_csv(finished / f"results/epochs/{key}.csv")
        assert logged.to_dict("list") == {
            "epoch": [1, 2, 3], "train_loss": [0.7, 0.65, 0.6], "validation_loss": [0.69, 0.68, 0.67],
        }  # fmt: skip
    before = ledger.read_bytes(), known.read_bytes()
    assert "0 new" in start().communicate(timeout=120)[0]
    assert (ledger.read_bytes(), known.read_bytes()) == before


def test_an_experiment_that_cannot_be_read_is_named_and_holds_up_no_other(finished: Path) -> None:
    for name, path, text in BROKEN:
        add_broken(finished, name, path, text)
    told = collected(finished)
    assert "2 finished experiments, 2 new" in told
    for name, _, _ in BROKEN:
        assert f"collect: {name} left out: its files cannot be read" in told
    assert "Traceback" not in told


def test_a_finished_run_whose_key_is_told_otherwise_now_is_not_collected_twice(finished: Path) -> None:
    collected(finished)
    path, kept = finished / "results/ledger.csv", sorted((finished / "results/epochs").iterdir())
    path.write_text(path.read_text().replace(read_ledger(path)["key"][0], "0" * 16))
    assert "0 new, 2 rows" in collected(finished)
    assert sorted((finished / "results/epochs").iterdir()) == kept


BROKEN = (
    ("no-seconds", "metrics/runtime.json", "{}"),
    ("no-json", "metrics/experiment.json", "{"),
    ("no-yaml", "params.yaml", "a: ["),
    ("no-mapping", "params.yaml", "[]"),
    ("no-stages", "dvc.lock", "stages: 3"),
    ("no-python", "stages/train.py", "def"),
)


def add_broken(repository: Path, name: str, path: str, text: str) -> None:
    """A finished experiment like the others, but for the text of one file."""

    def git(*command: str, **kwargs: Any) -> str:
        return subprocess.run(
            ["git", "-c", "user.name=tests", "-c", "user.email=tests@localhost", *command],
            cwd=repository, check=True, capture_output=True, text=True, **kwargs,
        ).stdout.strip()  # fmt: skip

    sound, reference = git("for-each-ref", "refs/exps", "--count=1", "--format=%(objectname) %(refname)").split()
    index = {"env": os.environ | {"GIT_INDEX_FILE": str(repository / ".git/broken")}}
    git("read-tree", sound, **index)
    blob = git("hash-object", "-w", "--stdin", input=text)
    git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", **index)
    commit = git("commit-tree", git("write-tree", **index), "-p", f"{sound}^", "-m", name)
    git("update-ref", f"{reference.rpartition('/')[0]}/{name}", commit)


def collected(repository: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(repository)}
    done = subprocess.run(
        [sys.executable, "-m", "study.collect"], cwd=repository, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.stdout + done.stderr
