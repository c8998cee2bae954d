"""How servers are asked: one answer within a deadline, a few times with growing pauses where asking again can help.

Every failure is told the same way: provider, series, what came (with its HTTP status), that nothing was stored, and
what to do. A message never holds the query of an address: keys stand there.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from finscale.errors import InputError

ATTEMPTS = 5
PAUSE = 1.0  # seconds before the second attempt; doubled before each further one
DEADLINE = 60.0  # seconds for one whole answer, however slowly it arrives
LONGEST_PAUSE = 60.0  # seconds, also where a server asks for more
PACE = 0.5  # seconds from one question to the next that a provider is asked: Yahoo counts them by the hour
LARGEST = 200 * 2**20  # bytes of an answer

_QUERY = re.compile(r"\?[^\s'\")>]*")
_TAGS = re.compile(r"(?s)<(script|style|title).*?</\1>|<[^>]*>")

T = TypeVar("T")


class TemporaryError(Exception):
    """The server could not answer now: too many requests, a time-out, a fault of its own."""

    def __init__(self, told: str, pause: float = 0.0) -> None:
        super().__init__(told)
        self.pause = pause  # seconds that the server asked for


class UnavailableError(InputError):
    """A provider that did not answer after all attempts: the next series would fare no better."""


@dataclass(frozen=True)
class Asked:
    """Who is asked for what: the first words of every message."""

    provider: str
    series: str

    def refused(self, told: str, remedy: str, kind: type[InputError] = InputError) -> InputError:
        return kind(f"{self.provider}, {self.series}: {told}; nothing was stored; {remedy}")


def ask(asked: Asked, request: Callable[[], T]) -> T:
    """Call request() until it answers within the deadline. Raises UnavailableError after five temporary failures."""
    _wait_for_turn(asked.provider)
    attempts = Retrying(
        retry=retry_if_exception_type(TemporaryError), stop=stop_after_attempt(ATTEMPTS), wait=_pause, reraise=True
    )
    try:
        return attempts(lambda: within(DEADLINE, request))
    except TemporaryError as error:
        raise asked.refused(
            f"no answer after {ATTEMPTS} attempts ({error})",
            "look at the connection and the service's own page, try later",
            UnavailableError,
        ) from None


_asked_at: dict[str, float] = {}  # when each provider was asked last


def _wait_for_turn(provider: str) -> None:
    if (asked_at := _asked_at.get(provider)) is not None:
        time.sleep(max(0.0, asked_at + PACE - time.monotonic()))
    _asked_at[provider] = time.monotonic()


def _pause(state: RetryCallState) -> float:
    told = state.outcome.exception() if state.outcome else None
    asked_for = told.pause if isinstance(told, TemporaryError) else 0.0
    return min(max(wait_exponential(multiplier=PAUSE)(state), asked_for), LONGEST_PAUSE)


def within(seconds: float, request: Callable[[], T]) -> T:
    """request()'s result. Raises TemporaryError where it takes longer than `seconds`.

    A client's own time-out counts from one byte to the next, so that a byte a second lasts for ever. The request
    runs in a thread that is left behind where it is late; it ends with the process.
    """
    result: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            result.append(request())
        except BaseException as error:  # raised again below, in the caller's thread
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not result:
        raise TemporaryError(f"no whole answer within {seconds:g} s")
    return result[0]


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def words(self) -> str:
        """The server's own explanation: a JSON error message, or the first words of a page."""
        try:
            return str(json.loads(self.content)["error_message"])
        except (ValueError, KeyError, TypeError):
            text = " ".join(_TAGS.sub(" ", self.content.decode("utf-8", "replace")).split())
            return repr(text[:80]) if text else "an empty page"

    def json(self) -> dict[str, Any]:
        """The object in it. Raises TemporaryError for a page, half a body or anything else."""
        try:
            found = json.loads(self.content)
        except ValueError:
            raise TemporaryError(f"HTTP {self.status} with something else than JSON: {self.words()}") from None
        if not isinstance(found, dict):
            raise TemporaryError(f"HTTP {self.status} with a JSON {type(found).__name__} in place of an object")
        return found


def get(asked: Asked, url: str, remedy: str, **options: Any) -> Answer:
    """The whole answer to a GET; `remedy` is what helps where the server refuses. options: as requests.get takes.

    Raises TemporaryError where asking again can help, InputError where it cannot.
    """
    try:
        with requests.get(url, timeout=DEADLINE, stream=True, **options) as response:
            answer = Answer(response.status_code, response.headers, _body(asked, response))
    except requests.RequestException as error:
        raise TemporaryError(told(error)) from None
    if answer.status == 429 or answer.status >= 500:
        wait = answer.headers.get("Retry-After", "")
        raise TemporaryError(f"HTTP {answer.status}: {answer.words()}", float(wait) if wait.isdigit() else 0.0)
    if answer.status != 200:
        raise asked.refused(f"HTTP {answer.status}: {answer.words()}", remedy)
    return answer


def _body(asked: Asked, response: requests.Response) -> bytes:
    """The body, but no more of it than any honest answer has."""
    parts: list[bytes] = []
    size = 0
    for part in response.iter_content(2**16):
        parts.append(part)
        if (size := size + len(part)) > LARGEST:
            raise asked.refused(f"the answer is larger than {LARGEST >> 20} MiB", "it cannot be what was asked for")
    return b"".join(parts)


def told(error: BaseException) -> str:
    """An exception in words, without the query of any address in them."""
    return _QUERY.sub("", f"{type(error).__name__}: {error}")
