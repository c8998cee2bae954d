"""The typed arguments of the features."""

from typing import Literal

from finscale.config import Block

Levels = Literal["as_is", "relative"]


class FeaturesConfig(Block):
    """levels: as_is, tier a20 by the letter of SPEC 4; relative, its price and volume levels in scale-free form."""

    levels: Levels = "as_is"
