"""How busy a run keeps its machine, and how much memory it took.

Measured, so it differs between repeats: it goes into the mirrors and models/runtime.json, never into an output whose
hash is compared.
"""

import resource
import sys
import time

import psutil  # type: ignore[import-untyped]
import torch

_GIB = 2**30
_SHORTEST = 0.05  # seconds: processor time is counted in hundredths
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes of getrusage's ru_maxrss


class UseMeter:
    """Counts from its creation on.

    cpu_cores         processor seconds of this process per second: how many cores it keeps busy
    machine_cpu       percent of all the machine's cores that are busy, whoever uses them
    peak_memory_gib   the largest resident size of this process so far
    gpu               percent of the time in which a kernel ran (NVML's last sample)
    gpu_memory_gib    the largest allocation of tensors since then
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        psutil.cpu_percent()  # its first answer means nothing
        self._started = self._read_last = (time.perf_counter(), time.process_time())
        self._gpu: list[float] = []
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def read(self) -> dict[str, float]:
        """Use since the last call; empty where that is too short to measure, as between a resumed run's old epochs."""
        before, now = self._read_last, (time.perf_counter(), time.process_time())
        if now[0] - before[0] < _SHORTEST:
            return {}
        self._read_last = now
        gpu = _gpu_busy(self._device)
        self._gpu += gpu
        values = {"cpu_cores": _cores(before, now), "machine_cpu": psutil.cpu_percent(), **self._memory()}
        return values | ({"gpu": gpu[0]} if gpu else {})

    def whole(self) -> dict[str, float]:
        """Use since the beginning."""
        values = {"cpu_cores": _cores(self._started, (time.perf_counter(), time.process_time())), **self._memory()}
        if self._gpu:
            values["gpu"] = sum(self._gpu) / len(self._gpu)
        return {name: round(value, 3) for name, value in values.items()}

    def _memory(self) -> dict[str, float]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
        values = {"peak_memory_gib": peak / _GIB}
        if self._device.type == "cuda":
            values["gpu_memory_gib"] = torch.cuda.max_memory_allocated(self._device) / _GIB
        return values


def _cores(before: tuple[float, float], now: tuple[float, float]) -> float:
    return (now[1] - before[1]) / max(now[0] - before[0], _SHORTEST)


def _gpu_busy(device: torch.device) -> list[float]:
    """One reading in percent; none without a GPU, NVML, or its permission."""
    if device.type != "cuda":
        return []
    try:
        import pynvml  # type: ignore[import-untyped]
    except ImportError:
        return []
    try:
        return [float(torch.cuda.utilization(device))]
    except (RuntimeError, pynvml.NVMLError):
        return []
