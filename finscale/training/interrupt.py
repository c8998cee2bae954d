"""SIGINT and SIGTERM end a run between two steps, with its state saved."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_TWICE = 2.0  # seconds; torchrun passes a terminal's Ctrl-C on to processes that have had it already


class RunStoppedError(Exception):
    """The run was stopped and saved; the message says how to go on."""


class StopRequest:
    """Whether a signal has asked the run to stop."""

    def __init__(self) -> None:
        self.signal: str | None = None
        self._asked = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            if time.monotonic() - self._asked > _TWICE:
                raise KeyboardInterrupt  # asked twice: at once, without saving
            return
        self._asked = time.monotonic()
        self.signal = signal.Signals(number).name

    def __bool__(self) -> bool:
        return self.signal is not None


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """While inside, the first SIGINT or SIGTERM is noted rather than obeyed; the loop looks after every step."""
    request = StopRequest()
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
