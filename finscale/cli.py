"""How a stage runs: bad input becomes one clear message and exit status 1, never a traceback, and costs no output."""

import sys
from collections.abc import Callable
from contextlib import nullcontext

from finscale.config import check_unchanged
from finscale.errors import InputError
from finscale.outputs import kept_on_failure, running_stage


def run(main: Callable[[], None]) -> None:
    """Call a stage's main(). Only InputError is caught: anything else is a defect and shows.

    A stage whose settings were edited while it ran has failed: see config.check_unchanged.
    """
    stage = running_stage()
    try:
        with kept_on_failure(stage) if stage else nullcontext():
            main()
            check_unchanged()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
