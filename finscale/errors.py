"""The one exception for bad input: its message is all that a user gets to see."""


class InputError(Exception):
    """Something the user gave cannot be used. The message names the file or key, the value
    and the remedy; stages print it without a traceback and stop with exit status 1."""
