"""The thermal guard, fed through the files that Linux's drivers write."""

import time
from pathlib import Path

import pytest
import torch

from finscale.errors import InputError
from finscale.model.patchtst import PatchTST
from finscale.training.config import ThermalConfig
from finscale.training.interrupt import RunStoppedError
from finscale.training.loop import Trainer
from finscale.training.resume import SavedRun
from finscale.training.thermal import ThermalGuard, parse_powermetrics, thermal_reader
from tests.unit.test_training import COMPUTE, CONFIG, MODEL, SHAPE, TARGET, TRAIN, VALIDATION

CPU = torch.device("cpu")
CONFIG_THERMAL = ThermalConfig(check_batches=2, pause_seconds=3)


@pytest.fixture
def sensors(tmp_path: Path) -> Path:
    """Two chips: a disk that stays cool, and a processor."""
    for chip, degrees in (("hwmon0", 31), ("hwmon1", 60)):
        (tmp_path / chip).mkdir()
        (tmp_path / chip / "temp1_input").write_text(f"{degrees}000\n")
    (tmp_path / "hwmon1" / "temp2_input").write_text("-273000\n")  # not connected
    (tmp_path / "hwmon1" / "temp3_input").mkdir()  # cannot be read
    return tmp_path


def heat(sensors: Path, degrees: float) -> None:
    (sensors / "hwmon1" / "temp1_input").write_text(f"{degrees * 1000:.0f}\n")


def guard_of(sensors: Path, naps: list[float], after_nap: float | None = None) -> ThermalGuard:
    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if after_nap is not None:
            heat(sensors, after_nap)

    return ThermalGuard(CONFIG_THERMAL, thermal_reader(str(sensors), CPU), sleep)


@pytest.mark.parametrize(
    ("degrees", "after_pause", "expected", "paused"),
    [(60, 60, "normal", 0), (84, 84, "normal", 0), (86, 70, "normal", 3), (86, 86, "slower", 3),
     (86, 96, "stop", 3), (95, 95, "stop", 0)],
)  # fmt: skip
def test_the_hottest_sensor_decides(
    sensors: Path, degrees: float, after_pause: float, expected: str, paused: float
) -> None:
    naps: list[float] = []
    heat(sensors, degrees)
    assert guard_of(sensors, naps, after_pause).check() == expected
    assert sum(naps) == paused


def test_a_request_to_stop_cuts_the_pause_short(sensors: Path) -> None:
    naps: list[float] = []
    heat(sensors, 90)
    guard_of(sensors, naps).check(stop=True)
    assert naps == []


def test_a_machine_without_sensors_says_so_once(tmp_path: Path) -> None:
    said: list[str] = []
    guard = ThermalGuard(CONFIG_THERMAL, thermal_reader(str(tmp_path), CPU), say=said.append)
    assert [guard.check(), guard.check()] == ["normal", "normal"]
    assert said == ["train: no temperature can be read here; going on without the thermal guard"]


def test_an_overheating_run_is_saved_and_stopped_and_a_warm_one_slowed(sensors: Path, tmp_path: Path) -> None:
    def trainer() -> Trainer:
        config = CONFIG.model_copy(update={"thermal": CONFIG_THERMAL})
        made = Trainer(PatchTST(SHAPE, MODEL, 2), TRAIN, VALIDATION, TARGET, config, COMPUTE, 0)
        made.saved = SavedRun(tmp_path / "state", keep=3)
        return made

    hot = trainer()
    hot.guard = guard_of(sensors, [], None)
    heat(sensors, 97)
    with pytest.raises(RunStoppedError, match=r"stopped at 97 °C .*after step 2; saved in .*`dvc repro` goes on"):
        hot.fit(lambda epoch: None)
    assert [folder.name for folder in hot.saved.states()] == ["step-00000002"]
    warm = trainer()
    warm.guard = guard_of(sensors, [], 86)
    heat(sensors, 86)
    warm._resume()
    warm.progress.step = 4
    warm._between_steps(time.perf_counter())
    assert warm.micro_batch == CONFIG.batch_size // 2


def test_settings_that_cannot_be_are_named() -> None:
    with pytest.raises(InputError, match=r"train\.thermal\.sensor = /no/such: no such folder; use auto or off"):
        thermal_reader("/no/such", CPU)
    with pytest.raises(ValueError, match="warning must be below critical"):
        ThermalConfig(warning=96)
    assert thermal_reader("off", CPU) is None


@pytest.mark.parametrize(
    ("shown", "degrees"),
    [("CPU die temperature: 71.25 C\nGPU die temperature: 64.00 C\n", [71.25, 64.0]),
     ("**** Thermal pressure ****\nCurrent pressure level: Heavy\n", [90.0]), ("sudo: a password is required", [])],
)  # fmt: skip
def test_what_powermetrics_prints_is_read(shown: str, degrees: list[float]) -> None:
    assert parse_powermetrics(shown) == degrees
