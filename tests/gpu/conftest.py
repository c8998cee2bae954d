"""What tests on a device share. They run on CUDA where it is, and as far as that means something on the CPU.

`python -m tests.gpu.run` starts them on a machine that has no more than docs/gpu.md names: nothing here imports more.
"""

from collections.abc import Iterator

import pytest
import torch

from finscale.model import patchtst
from finscale.training.device import Compute, choose_compute

NO_CUDA = "needs CUDA, which this machine lacks"


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device under test. On the CPU: torch's own operations, those that GPUs run, not the CPU's kernels."""
    if request.param == "cpu":
        monkeypatch.setattr(patchtst, "_own_kernels", lambda tokens: False)
    yield from _device(request.param)


@pytest.fixture
def cuda() -> Iterator[torch.device]:
    yield from _device("cuda")


def _device(name: str) -> Iterator[torch.device]:
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip(NO_CUDA)
    yield torch.device(name)
    choose_compute("cpu", "fp32", 1)  # torch's switches are the process's: as the other tests have them


def compute_on(device: torch.device, precision: str = "fp32") -> Compute:
    return choose_compute(device.type, precision, 1)
