"""The axis `assets` in one form: a universe's name, or tickers that the user typed.

A                the universe of universes/A.yaml
[TLT, GLD]       'GLD,TLT': in one order, so that the same symbols are the same experiment
[GLD]            'GLD,': the comma tells a list of one from a name
"""

import hashlib
import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_TICKER = re.compile(r"\^?[A-Z0-9][A-Z0-9=&-]{0,19}")
_LONGEST = 40  # characters of a list that stands in the name of a file
HOW = "tickers are typed as a list, -S 'assets=[GLD,TLT]'"


def ticker_of(name: str) -> str:
    """One spelling for a symbol, whoever wrote the name: 'brk.b.us' -> 'BRK-B', '^gspc' -> '^GSPC'."""
    return name.strip().upper().removesuffix(".US").replace(".", "-").replace("_", "-").replace("/", "-")


def parse_tickers(names: list[Any]) -> tuple[str, ...]:
    """Tickers in one spelling. Raises ValueError for what is none and for one that is there twice."""
    for name in names:
        if isinstance(name, bool):
            raise ValueError(f"{name} is no ticker: YAML takes TRUE and FALSE for truth values; put it in quotes")
        if not isinstance(name, str):
            raise ValueError(f"{name!r} is no ticker; put it in quotes")
    tickers = [ticker_of(name) for name in names]
    for name, ticker in zip(names, tickers, strict=True):
        if not _TICKER.fullmatch(ticker):
            raise ValueError(f"{name!r} is no ticker such as SPY, BRK-B or ^GSPC; {HOW}")
        if tickers.count(ticker) > 1:
            raise ValueError(f"{ticker} is there twice")
    if not tickers:
        raise ValueError(f"no ticker; {HOW}")
    return tuple(tickers)


def parse_assets(value: object) -> str:
    """The axis as text. Raises ValueError for what is neither a name nor tickers; a path is no name."""
    if isinstance(value, str) and "," in value:
        value = [part for part in value.split(",") if part.strip()]
    if isinstance(value, list | tuple):
        tickers = sorted(parse_tickers(list(value)))
        return ",".join(tickers) if len(tickers) > 1 else f"{tickers[0]},"
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"the name of a universe, universes/NAME.yaml, in letters, digits, - and _; {HOW}")
    return value


def tickers_in(assets: str) -> tuple[str, ...] | None:
    """The tickers of a typed list; None where `assets` names a universe."""
    return tuple(part for part in assets.split(",") if part) if "," in assets else None


def data_set(assets: str, quality: str) -> str:
    """A data set in a word that can name a file: 'Aa', 'all-a', 'GLD,TLT-a'; a long list is cut, and told by a hash."""
    if len(assets) > _LONGEST:
        digest = hashlib.sha256(assets.encode()).hexdigest()[:8]
        assets = f"{assets[: assets.index(',')]},+{assets.count(',')}-{digest}"
    return f"{assets}{quality}" if len(assets) == 1 else f"{assets.rstrip(',')}-{quality}"


Assets = Annotated[str, BeforeValidator(parse_assets)]
