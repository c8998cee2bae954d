"""How a stage runs: bad input becomes one clear message and exit status 1, never a traceback, and costs no output."""

import atexit
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import NoReturn

from finscale.config import check_unchanged
from finscale.errors import InputError
from finscale.faults import in_words, without_secrets
from finscale.outputs import kept_on_failure, running_stage, stage_of_dvc
from finscale.parent import stop_when_left


def run(main: Callable[[], None]) -> None:
    """Call a stage's main(). InputError and faults of the machine are told in words; else a defect shows itself.

    A stage whose settings were edited while it ran has failed: see config.check_unchanged. One whose DVC is gone stops.
    """
    stage = running_stage()
    try:
        with kept_on_failure(stage) if stage else nullcontext():
            if name := stage_of_dvc():
                stop_when_left(name)
            main()
            check_unchanged()
    except SystemExit as ended:
        if isinstance(ended.code, str):  # a stage that was stopped, and says how to go on
            end_with(ended.code)
        raise
    except InputError as error:
        fail(str(error))
    except (OSError, MemoryError, RuntimeError) as error:
        if (said := in_words(error)) is None:
            raise
        fail(said)


def fail(said: str) -> NoReturn:
    end_with(f"error: {without_secrets(said)}")


def end_with(said: str) -> NoReturn:
    """Exit with status 1, and with these as the last words of a command: after all that packages say when they end."""
    if (getattr(sys.modules["__main__"].__spec__, "name", None) or "").startswith(("stages.", "study.")):
        _last_words.append(said)
    else:  # a test, or somebody's own program, which goes on
        print(said, file=sys.stderr)
    sys.exit(1)


_last_words: list[str] = []


@atexit.register  # what is registered first runs last, and no package that says much has been imported yet
def _say_last_words() -> None:
    for said in _last_words:
        sys.stdout.flush()
        print(said, file=sys.stderr)
