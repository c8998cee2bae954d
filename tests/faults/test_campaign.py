"""A few faults of each part of the campaign, and its table; `make faults` makes all of them."""

from pathlib import Path

import pytest

from tests.faults import trial
from tests.faults.damage import damage
from tests.faults.disks import disks
from tests.faults.kills import kills
from tests.faults.providers import providers
from tests.faults.signals import signals
from tests.faults.trial import Trial, prepared
from tests.pipeline.conftest import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return prepared(tmp_path_factory.mktemp("campaign"))


@pytest.mark.slow
def test_four_kills_cost_nothing(workspace: Workspace) -> None:
    assert [one for one in kills(workspace, 4, seed=1) if not one.survived] == []


@pytest.mark.slow
def test_a_terminated_dvc_leaves_no_training_behind(workspace: Workspace) -> None:
    trials = signals(workspace, "SIGTERM to `repro train`")
    assert len(trials) == 1
    assert all(one.survived for one in trials), trials


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["label", "train", "report"])
def test_a_full_disk_costs_nothing(stage: str, workspace: Workspace) -> None:
    assert [one for one in disks(workspace, stage) if not one.survived] == []


@pytest.mark.slow
def test_a_damaged_model_and_a_damaged_ledger_are_named(workspace: Workspace) -> None:
    trials = damage(workspace, "models/model.safetensors") + damage(workspace, "results/ledger.csv")
    assert len(trials) == 6
    assert [one for one in trials if not one.survived] == []


@pytest.mark.slow
def test_each_answer_that_should_not_be_is_refused() -> None:
    trials = providers()
    assert len(trials) > 50
    assert [one for one in trials if not one.survived] == []


def test_the_table_is_of_the_trials_and_a_part_replaces_its_own_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, page = tmp_path / "faults.csv", tmp_path / "faults.md"
    monkeypatch.setattr(trial, "TABLE", table)
    monkeypatch.setattr(trial, "PAGE", page)
    page.write_text(f"before\n{trial.BEGIN}\nold\n{trial.END}\nafter\n")
    trial.write_table("kill", [Trial("SIGKILL", True, "the same bytes"), Trial("SIGKILL", False, "a | lost")], tmp_path)
    trial.write_table("disk", [Trial("full disk", True, f"{tmp_path}/disk/x: no space left")], tmp_path)
    trial.write_table("kill", [Trial("SIGKILL", True, "the same bytes"), Trial("SIGKILL", False, "b | lost")], tmp_path)
    text = page.read_text()
    assert text.startswith(f"before\n{trial.BEGIN}\n\n## disk: 1 tried, 0 lost\n")
    assert text.endswith(f"\n{trial.END}\nafter\n")
    assert "## kill: 2 tried, 1 lost" in text
    assert r"| SIGKILL | 2 | 1 | 1 | b \| lost |" in text
    assert "| full disk | 1 | 1 | 0 | disk/x: no space left |" in text
    assert "old" not in text
    trial.write_table("disk", [Trial("no space left", True, "")], tmp_path, whole=False)
    assert "## disk: 2 tried, 0 lost" in page.read_text()
    trial.write_table("disk", [Trial("no space left", True, "")], tmp_path)
    assert "## disk: 1 tried, 0 lost" in page.read_text()
