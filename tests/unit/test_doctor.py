"""make doctor: every finding has its level, and a remedy where one is needed."""

import re
import subprocess
from pathlib import Path

import pytest
import torch

from finscale.model.budget import GIB, Memory
from finscale.model.patchtst import PatchTST
from finscale.training.config import CheckpointConfig, ThermalConfig, TrackingConfig
from finscale.training.loop import Trainer
from finscale.training.resume import SavedRun
from study import doctor
from tests.small_disks import small_disk
from tests.unit.test_training import COMPUTE, CONFIG, MODEL, SHAPE, TARGET, TRAIN, VALIDATION

HOT = CONFIG.model_copy(update={"thermal": ThermalConfig(warning=85)})


@pytest.mark.parametrize(
    ("finding", "status", "told"),
    [
        (doctor.check_disk("states", 50 * GIB, 40 * GIB), "error", "50.0 GiB: free some.*set FINSCALE_SCRATCH"),
        (doctor.check_disk("states", 50 * GIB, 60 * GIB), "warning", "60.0 GiB free.*as much again: free some"),
        (doctor.check_disk("states", 50 * GIB, 200 * GIB), "ok", "states take up to 50.0 GiB"),
        (doctor.check_memory(40 * GIB, 2 * 10**9, 32 * GIB), "error", "2B .* takes 40.0 GiB: set train.micro_batch"),
        (doctor.check_python((3, 10, 4)), "error", "3.10.4; use 3.11 to 3.13: make PYTHON=python3.12"),
        (doctor.check_python((3, 14, 0)), "error", "3.14.0; use 3.11 to 3.13"),
        (doctor.check_python((3, 13, 1)), "ok", "3.13.1"),
        (doctor.check_power(False), "warning", "on battery: plug in"),
        (doctor.check_power(None), "ok", "no battery"),
        (doctor.check_temperature(HOT, 90.0), "warning", "90 °C; training pauses at 85"),
        (doctor.check_temperature(HOT, None), "warning", "no sensor can be read"),
        (next(doctor.check_keys({})), "warning", "FRED_API_KEY is not set"),
        (next(doctor.check_keys({"FRED_API_KEY": "x"})), "ok", "FRED_API_KEY is set"),
    ],
)
def test_a_finding_says_how_bad_it_is_and_what_to_do(finding: doctor.Finding, status: str, told: str) -> None:
    assert finding.status == status
    assert re.search(told, finding.told)


def test_a_package_of_another_version_or_none_is_named(tmp_path: Path) -> None:
    wanted, base = tmp_path / "wanted.txt", tmp_path / "base.txt"
    base.write_text("-c constraints.txt  # install nothing\nnumpy==0.0.1\npandas==0.0.1 ; sys_platform == 'nowhere'\n")
    wanted.write_text("-r base.txt\n\n# more\nno-such-package==1\n")
    told = doctor.check_packages(wanted)
    assert told.status == "error"
    assert re.search(rf"numpy .* \(wanted ==0\.0\.1\); no-such-package missing .*: pip install -r {wanted}", told.told)
    assert "pandas" not in told.told


def test_the_mirrors_packages_are_needed_only_where_a_mirror_is_on() -> None:
    assert doctor.requirements_of(CONFIG) == Path("requirements.txt")
    tracked = CONFIG.model_copy(update={"tracking": TrackingConfig(wandb=True)})
    assert doctor.requirements_of(tracked) == Path("requirements-tracking.txt")


@pytest.mark.parametrize(
    ("budget", "at_least", "at_most"),
    [
        (10**5, 2 * GIB, 2.1 * GIB),
        (20 * 10**6, 2 * GIB, 4 * GIB),
        (200 * 10**6, 50e9, 50e9),
        (2 * 10**9, 140e9, 150e9),
    ],
)
def test_the_budget_decides_the_disk_that_a_run_needs(budget: int, at_least: float, at_most: float) -> None:
    config = CONFIG.model_copy(update={"model": MODEL.model_copy(update={"context_length": 60}), "recompute": True})
    need = doctor.needed_disk(doctor.needed_memory(config, budget), 3, budget)
    assert at_least <= need.states + need.results <= at_most


def test_walk_forward_needs_room_for_every_fold_s_model_and_last_state(tmp_path: Path) -> None:
    memory = Memory(weights=400, gradients=400, optimizer=800, best_weights=400, activations=0)
    one, six = (doctor.needed_disk(memory, 3, 10_000, folds) for folds in (1, 6))
    assert six.results - one.results == 5 * 2 * 400
    assert six.states - one.states == 5 * (400 + 800 + 400)
    (told,) = doctor.check_disks(six, tmp_path, tmp_path, 6)
    assert "saved states and results of 6 folds take up to" in told.told


def test_no_run_leaves_more_on_the_disk_than_was_said(tmp_path: Path) -> None:
    """Against the largest size of a real run's folder, measured after every save."""
    config = CONFIG.model_copy(update={"checkpoint": CheckpointConfig(every_steps=3)})
    torch.manual_seed(0)
    network = PatchTST(SHAPE, MODEL, 2)
    trainer = Trainer(network, TRAIN, VALIDATION, TARGET, config, COMPUTE, 0)
    trainer.saved, sizes = SavedRun(tmp_path / "run", keep=3), []
    save = trainer.save

    def measured() -> None:
        save()
        sizes.append(sum(file.stat().st_size for file in (tmp_path / "run").rglob("*.safetensors")))

    trainer.save = measured
    trainer.fit(lambda epoch: None)
    weights = 4 * network.counts().total
    said = doctor.needed_disk(Memory(weights, weights, 2 * weights, weights, 0), 3, 10_000).states
    overhead = 2**14 * 8  # names, shapes and generator states of eight files
    assert 0.5 * said < max(sizes) <= said + overhead


def test_each_disk_has_a_line_of_its_own(tmp_path: Path) -> None:
    need = doctor.DiskNeed(states=GIB, results=GIB)
    (both,) = doctor.check_disks(need, tmp_path / "not/yet/there", tmp_path)
    assert "saved states and results take up to 2.0 GiB" in both.told
    other = Path("/dev/shm")
    if not other.exists() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system: /dev/shm")
    results, states = doctor.check_disks(need, other, tmp_path)
    assert "; results take up to 1.0 GiB" in results.told
    assert "saved states in /dev/shm take up to 1.0 GiB" in states.told


def test_a_folder_that_cannot_be_written_and_a_place_that_dvc_cannot_work_in_are_found_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor.check_writing([tmp_path, tmp_path / "absent"]).status == "ok"
    with small_disk(tmp_path / "disk", 64) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        finding = doctor.check_writing([tmp_path, disk])
    assert finding.status == "error"
    assert f"{disk}: the disk is mounted read-only; mount it writable" in finding.told
    place = tmp_path / "José"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    told = [(one.status, one.told) for one in doctor.check_repository(place)]
    assert [status for status, _ in told] == ["error", "error"]
    assert "not a git repository" in told[0][1]
    assert "with é in its name; move the repository" in told[1][1]


def test_only_an_error_makes_it_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("warning", "disk", "little")])
    doctor.main(said.append)
    assert said == ["warning  disk         little"]
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("error", "disk", "full")])
    with pytest.raises(SystemExit):
        doctor.main(said.append)
