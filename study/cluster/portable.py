"""A callable that travels by what it does: pickled, it carries its module's code along."""

import sys
from collections.abc import Callable
from typing import Any

import cloudpickle


class Portable:
    """Calls `inner`; unpickled on a machine without this repository it is `inner` itself, its code included.

    Both sides need the same minor version of Python. token: what tells it from others, so that a scheduler is given
    the same work once, by however many heads.
    """

    def __init__(self, inner: Callable[..., Any], token: object) -> None:
        self._inner, self._token = inner, token
        self.__name__ = "experiment"  # in a scheduler's keys, which would hold this object's address in place of it

    def __call__(self, *arguments: Any) -> Any:
        return self._inner(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        module = sys.modules[
            self._inner.__module__ if hasattr(self._inner, "__name__") else type(self._inner).__module__
        ]
        cloudpickle.register_pickle_by_value(module)
        try:
            return cloudpickle.loads, (cloudpickle.dumps(self._inner),)
        finally:
            cloudpickle.unregister_pickle_by_value(module)

    def __dask_tokenize__(self) -> object:
        return self._token
