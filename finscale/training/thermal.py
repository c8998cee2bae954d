"""The thermal guard: training slows down on a hot machine, and stops, saved, on an overheating one (SPEC 8).

The temperature is the hottest that can be read: Linux's hwmon files (through psutil), the GPU's own sensor (NVML),
macOS's powermetrics where sudo asks for no password. Where none can be read the guard says so once and goes on.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from finscale.errors import InputError
from finscale.training.config import ThermalConfig

Heat = Literal["normal", "slower", "stop"]

_SETTLED = (0.0, 150.0)  # degrees; a reading outside comes from a sensor that is not connected


class ThermalGuard:
    """Asked every so many batches; pauses by itself, and says when that was not enough."""

    def __init__(
        self,
        config: ThermalConfig,
        read: Callable[[], float | None],
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = print,
    ) -> None:
        self._config, self._read, self._sleep, self._say = config, read, sleep, say
        self._silent = False
        self.temperature = float("nan")  # the last reading, in degrees Celsius
        self.pauses = 0

    def check(self, stop: object = None) -> Heat:
        """normal; slower: still hot after a pause; stop: critical. A true `stop` cuts the pause short."""
        if (heat := self._heat()) != "slower":
            return heat
        self.pauses += 1
        self._say(f"train: {self.temperature:.0f} °C; pausing for {self._config.pause_seconds:.0f} s")
        ends = self._config.pause_seconds
        while ends > 0 and not stop:
            self._sleep(min(1.0, ends))
            ends -= 1.0
        return self._heat()

    def _heat(self) -> Heat:
        reading = self._read()
        if reading is None:
            if not self._silent:
                self._say("train: no temperature can be read here; going on without the thermal guard")
                self._silent = True
            return "normal"
        self.temperature = reading
        if reading >= self._config.critical:
            return "stop"
        return "slower" if reading >= self._config.warning else "normal"


def thermal_reader(sensor: str, device: torch.device) -> Callable[[], float | None] | None:
    """How to read `train.thermal.sensor`: auto, off (None), or a folder laid out as /sys/class/hwmon.

    Raises InputError for a folder that does not exist.
    """
    if sensor == "off":
        return None
    if sensor != "auto":
        if not Path(sensor).is_dir():
            raise InputError(f"params.yaml: train.thermal.sensor = {sensor}: no such folder; use auto or off")
        return lambda: hottest(read_hwmon(Path(sensor)))
    return lambda: hottest(read_machine(device))


def hottest(readings: list[float]) -> float | None:
    return max((reading for reading in readings if _SETTLED[0] < reading < _SETTLED[1]), default=None)


def read_machine(device: torch.device) -> list[float]:
    """All temperatures of this machine that can be read, in degrees Celsius."""
    gpu = read_nvidia(device.index or 0) if device.type == "cuda" else []
    if sys.platform == "linux":
        return gpu + read_hwmon(Path("/sys/class/hwmon"))
    return gpu + (read_powermetrics() if sys.platform == "darwin" else [])


def read_hwmon(folder: Path) -> list[float]:
    """Linux's sensors: <folder>/hwmon*/temp*_input, in millidegrees, as psutil reads them.

    A sensor that fails is left out: drivers answer with errors while a device sleeps.
    """
    readings = []
    for path in sorted(folder.glob("hwmon*/temp*_input")):
        try:
            readings.append(float(path.read_text(encoding="utf-8")) / 1000)
        except (OSError, ValueError):
            continue
    return readings


def read_nvidia(index: int) -> list[float]:
    """The GPU's core temperature; empty where NVML is not installed or has no such GPU."""
    try:
        import pynvml  # type: ignore[import-untyped]
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        return [float(pynvml.nvmlDeviceGetTemperature(pynvml.nvmlDeviceGetHandleByIndex(index), 0))]
    except pynvml.NVMLError:
        return []


def read_powermetrics() -> list[float]:
    """macOS on Intel prints a temperature, on Apple silicon a pressure level; empty where sudo would ask."""
    command = ["sudo", "-n", "powermetrics", "--samplers", "smc,thermal", "-n", "1", "-i", "1"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    return parse_powermetrics(shown)


# Apple silicon tells no degrees. The levels of its thermal pressure, as SPEC 8 grades them.
_PRESSURE = {"Nominal": 60.0, "Moderate": 80.0, "Heavy": 90.0, "Trapping": 96.0, "Sleeping": 99.0}


def parse_powermetrics(shown: str) -> list[float]:
    """Degrees from powermetrics' text."""
    degrees = [float(value) for value in re.findall(r"die temperature: ([\d.]+) C", shown)]
    return degrees + [_PRESSURE[level] for level in re.findall(r"pressure level: (\w+)", shown) if level in _PRESSURE]
