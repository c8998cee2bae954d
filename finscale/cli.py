"""How a stage runs: bad input becomes one clear message and exit status 1, never a traceback."""

import sys
from collections.abc import Callable

from finscale.config import check_unchanged
from finscale.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Call a stage's main(). Only InputError is caught: anything else is a defect and shows.

    A stage whose settings were edited while it ran has failed: see config.check_unchanged.
    """
    try:
        main()
        check_unchanged()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
