"""SIGINT and SIGTERM end a run between two steps, with its state saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class RunStoppedError(Exception):
    """The run was stopped and saved; the message says how to go on."""


class StopRequest:
    """Whether a signal has asked the run to stop."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: at once, without saving
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
