"""The table of experiments: what varies, in order of what was asked for."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest

from study.show import comparison, read_objects

METRICS = {
    "params_counted": 9_951, "validation_loss": 0.61, "test_loss": 0.58, "test_loss_low": 0.52, "test_loss_high": 0.64,
    "test_skill": 0.03, "test_skill_low": -0.01, "test_skill_high": 0.07,
}  # fmt: skip


def test_rows_are_in_order_of_what_was_asked_for_and_never_of_the_loss() -> None:
    asked = {"large": ("1M", 0), "other-seed": ("10K", 1), "small": ("10K", 0)}
    settings = pd.DataFrame(
        [
            {"tier": "a20", "budget": budget, "seed": seed, "train.betas": [0.9, 0.99]}
            for budget, seed in asked.values()
        ],
        list(asked),
    )
    losses = {"large": 0.1, "other-seed": 0.2, "small": 0.3}
    metrics = pd.DataFrame([METRICS | {"test_loss": losses[name]} for name in asked], list(asked))
    table = comparison(settings, metrics)
    assert table["experiment"].tolist() == ["small", "other-seed", "large"]
    assert list(table)[:3] == ["experiment", "budget", "seed"]  # what does not vary has no column
    assert table["test loss"][0] == "0.3000 (0.5200 to 0.6400)"


def test_objects_are_read_whole_and_an_absent_one_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_bytes(b"two\nlines, no end")
    (tmp_path / "b").write_bytes(b"")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], check=True)
    tree = subprocess.run(["git", "write-tree"], capture_output=True, text=True, check=True).stdout.strip()
    assert read_objects([f"{tree}:a", f"{tree}:gone", f"{tree}:b"]) == [b"two\nlines, no end", None, b""]
