"""The typed arguments of the features."""

from typing import Literal

from finscale.config import Block, Quality

Levels = Literal["as_is", "relative"]


class FeaturesConfig(Block):
    """levels: as_is, tier a20 by the letter of SPEC 4; relative, its price and volume levels in scale-free form.

    days_of: the quality on whose days every quality is compared: days on which its series are not known are left out,
    also where they are no features.
    """

    levels: Levels = "as_is"
    days_of: Quality | None = None

    def needed(self, quality: Quality) -> Quality:
        """The quality whose series are to be at hand; qualities hold those before them."""
        return max(quality, self.days_of or quality)
