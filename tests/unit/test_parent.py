"""A stage ends with those who asked for it, and goes on where there is nobody to be missed."""

import threading

import psutil
import pytest

from finscale import parent


def watchers() -> int:
    return sum(thread.name == "parent" for thread in threading.enumerate())


def test_a_stage_that_nobody_asked_for_watches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a service manager or in a container, where the first process starts it, or it is the first itself."""
    monkeypatch.setattr(psutil.Process, "parents", lambda self: [])
    assert parent.asking() == []
    before = watchers()
    parent.stop_when_left("train")
    assert watchers() == before
