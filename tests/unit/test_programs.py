"""DVC and git as the study's commands run them: what they refuse is told by its reason."""

import subprocess
import sys
from pathlib import Path

import pytest

from finscale.errors import InputError
from study.experiments import code_hash, read_commit
from study.programs import DVC, check_place, environment, git, reason_of


def test_the_reason_is_the_stage_s_own_word_or_dvc_s_and_never_the_offer_of_help() -> None:
    help_offered = ["", "Having any troubles? Hit us up at https://dvc.org/support, we are always happy to help!"]
    assert reason_of(["error: dataset: 3 rows", "ERROR: failed to reproduce 'dataset'"]) == "dataset: 3 rows"
    assert reason_of(["Reading", "ERROR: Unable to acquire lock", *help_offered]) == "Unable to acquire lock"
    assert reason_of(["ERROR: unexpected error - 'ascii' codec", *help_offered]) == "unexpected error - 'ascii' codec"
    assert reason_of(["MemoryError", ""]) == "MemoryError"
    assert reason_of([]) == "its log is empty"


@pytest.mark.parametrize("name", ["José", "a#b"])
def test_a_folder_in_which_dvc_cannot_make_experiments_is_named_beforehand(name: str, tmp_path: Path) -> None:
    check_place(tmp_path)
    with pytest.raises(InputError, match=rf"{name}: DVC cannot run .* move the repository"):
        check_place(tmp_path / name)


def test_no_activated_environment_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    its = environment()
    assert subprocess.run([*DVC, "--version"], env=its, capture_output=True, check=False).returncode == 0
    found = subprocess.run(["python", "-c", "import sys; print(sys.prefix)"], env=its, capture_output=True, text=True)
    assert found.stdout.strip() == sys.prefix


def test_git_tells_whose_a_repository_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own way to try it
    subprocess.run(["git", "init", "-q"], check=True)
    with pytest.raises(InputError, match=r"detected dubious ownership .* `chown` makes it yours"):
        git("status")


def test_line_ends_that_git_converts_change_no_code_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/train.py").write_text("a = 1\nb = 2\n")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        git(*command)
    plain = read_commit("HEAD")
    git("config", "core.autocrlf", "true")
    assert read_commit("HEAD") == plain
    assert code_hash(read_commit("HEAD")) == code_hash(plain)
