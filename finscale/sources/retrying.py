"""How servers are asked: a few times, with growing pauses, and only where asking again can help."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from finscale.errors import InputError

ATTEMPTS = 5
PAUSE = 1.0  # seconds before the second attempt; doubled before each further one

T = TypeVar("T")


class TemporaryError(Exception):
    """The server could not answer now: too many requests, a time-out, a fault of its own."""


def ask(what: str, request: Callable[[], T]) -> T:
    """Call request() until it answers. Raises InputError, naming `what`, after five temporary failures."""
    attempts = Retrying(
        retry=retry_if_exception_type(TemporaryError),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=PAUSE, max=30),
        reraise=True,
    )
    try:
        return attempts(request)
    except TemporaryError as error:
        raise InputError(
            f"{what}: no answer after {ATTEMPTS} attempts ({error}); nothing was stored, try later"
        ) from None
