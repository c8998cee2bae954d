"""A training step as one CUDA graph: the host launches it once instead of its hundreds of kernels one by one.

Up to some millions of parameters a kernel runs for less time than it takes to launch it. A captured step holds the same
kernels on the same memory in the same order, dropout's generator included, so that a replay gives the numbers of the
step itself (tests/gpu holds it to that).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from finscale.errors import InputError

_BEFORE = 3  # ordinary steps of a size before it is captured: they build kernels and optimizer moments
# Of the device's memory: a captured step keeps what it takes, beside which an ordinary one must still fit. A step that
# takes more runs for so long that launching its kernels costs nothing.
_LARGEST = 0.25


class StepGraphs:
    """Does training steps; from the fourth of a size on by replaying a captured one, unless that takes much memory.

    A step may read nothing on the host and must leave all that it changes where it lay: weights, moments, statistics.
    Gradients lie in the graphs' own memory, which all sizes share, since only one runs at a time.
    """

    def __init__(self, step: Callable[[Tensor], Tensor]) -> None:
        self._step = step
        self._done: dict[tuple[int, int], int] = {}
        self._captured: dict[tuple[int, int], tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}
        self._memory: Any = None
        self._small = True
        self.captures = 0

    def __call__(self, index_B: Tensor, micro_batch: int) -> Tensor:
        """The loss of a step on these windows, in passes of `micro_batch`; overwritten by the next step."""
        size = (len(index_B), micro_batch)
        self._done[size] = self._done.get(size, 0) + 1
        if self._done[size] <= _BEFORE or not self._small:
            return self._step(index_B)
        if size not in self._captured:
            self._small = _taken_by_a_step() <= _LARGEST * torch.cuda.get_device_properties(index_B.device).total_memory
            if not self._small:
                return self._step(index_B)
            self._captured[size] = self._capture(index_B)
            self.captures += 1
        graph, input_B, loss = self._captured[size]
        input_B.copy_(index_B)
        graph.replay()
        return loss

    def forget(self) -> None:
        """Give the memory of all captured steps back."""
        self._captured.clear()
        self._done.clear()

    def _capture(self, index_B: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        if self._memory is None:
            self._memory = torch.cuda.graph_pool_handle()
        input_B, graph = index_B.clone(), torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._memory):
                loss = self._step(input_B)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"params.yaml: train.graphs = true: this model's step cannot be captured as a CUDA graph ({reason}); "
                "set train.graphs to false"
            ) from error
        return graph, input_B, loss


def _taken_by_a_step() -> int:
    """Bytes beside what lies there between steps: at most the process's peak over that."""
    return torch.cuda.max_memory_allocated() - torch.cuda.memory_allocated()
