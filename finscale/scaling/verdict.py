"""The verdict on a power law, in words.

"The interval contains zero" is two different findings. Either it is narrow, and any exponent worth having is ruled
out: flat. Or it is wide, and nothing is known: undecidable. The line between them is the smallest effect of
interest: 1 % less loss for ten times the parameters, set once, after the first pilot and before any other curve. Models
of this study are 3 to 5 % better than the base rate, so 1 % is a fifth to a third of all that has been learnt; less
would not pay for the tenfold cost. Flat means that the whole 95 % interval lies within that line on both sides: two
one-sided tests at 2.5 % (Schuirmann 1987; Lakens 2017), stricter than the customary 5 %.

Scaling and inverse follow the p-value adjusted over all curves of the report (laws/multiple.py): of twenty curves
without any law one would be called one by its own p-value. Flat is said of each curve alone, and says so. The interval
is over seeds and test days (laws/contrast.py). Where a run has no daily losses there is only an interval of seeds,
which missed the truth in up to half of simulated studies (docs/intervals.md): such a curve is not judged.
"""

import math
from dataclasses import dataclass
from typing import Literal

from finscale.scaling.laws.contrast import Estimate
from finscale.scaling.laws.power_law import PowerLaw

SMALLEST_EFFECT = 0.01  # relative fall of the loss for ten times the size
FAMILY_ERROR = 0.05  # chance that any curve of a report without a law is called scaling or inverse
_SUSPECT = 0.05  # lack-of-fit p-values below this are mentioned

Kind = Literal["scaling", "flat", "inverse", "undecidable", "not judged"]


@dataclass(frozen=True)
class Verdict:
    kind: Kind
    words: str


def exponent_of(effect: float) -> float:
    """The exponent at which tenfold size lowers the loss by the share `effect`: 0.01 -> 0.00436."""
    return -math.log10(1 - effect)


def effect_of(alpha: float) -> float:
    """The share by which tenfold size lowers the loss at this exponent; negative where it rises."""
    return float(1 - 10**-alpha)


def judge(
    alpha: Estimate,
    adjusted_p: float | None = None,
    smallest_effect: float = SMALLEST_EFFECT,
    lack_of_fit: float | None = None,
) -> Verdict:
    """scaling | flat | inverse | undecidable, from alpha over seeds and days.

    adjusted_p: over all curves of the report, None for a curve alone. An effect that it establishes is scaling or
    inverse however small; the words then say so where it is below the smallest effect of interest. lack_of_fit: its
    p-value, mentioned where sizes scatter more than seeds explain.
    """
    p = alpha.p_value if adjusted_p is None else adjusted_p
    line = f"{smallest_effect:.0%} per tenfold, the smallest effect of interest"
    smallest = exponent_of(smallest_effect)
    negligible = -smallest < alpha.low and alpha.high < smallest
    kind: Kind
    if p < FAMILY_ERROR:
        kind, falls = ("scaling", "falls") if alpha.value > 0 else ("inverse", "rises")
        words = f"error {falls} with size" + (f", but by less than {line}" if negligible else "")
    elif negligible:
        kind, words = "flat", f"any change is smaller than {line} (of this curve alone, not adjusted for the others)"
    elif alpha.low > 0 or alpha.high < 0:
        kind, words = "undecidable", f"p = {alpha.p_value:.2g} alone, {p:.2g} among all curves of the report"
    else:
        kind, words = "undecidable", f"the interval holds both zero and {line}"
    doubt = ""
    if lack_of_fit is not None and lack_of_fit < _SUSPECT:
        doubt = f"; sizes scatter about the line more than their seeds explain (p = {lack_of_fit:.2g}): take with care"
    return Verdict(kind, f"{kind}: {words}; {per_tenfold(alpha.low, alpha.high)}{doubt}")


def carries(kind: Kind, law: str) -> bool:
    """Whether this verdict lets a law be named: AICc knows of seeds alone, and would name one where nothing is known.

    law: of laws/choice.py.
    """
    return kind == "flat" if law == "constant" else kind in ("scaling", "inverse")


def not_judged(law: PowerLaw, refused: str = "") -> Verdict:
    """What can be said of runs without losses per day: the interval of seeds, and that it is no verdict.

    refused: why those that are there could not be joined.
    """
    interval = f"{law.alpha:.4f} ({law.alpha_low:.4f} to {law.alpha_high:.4f})"
    why = refused or "losses per day were not kept for every run (run them again and `make collect`)"
    return Verdict(
        "not judged",
        f"not judged: the exponent is {interval} over seeds only, which leaves out the test days that all runs share: "
        f"{why}",
    )


def per_tenfold(low: float, high: float) -> str:
    """'ten times the size changes the loss by -1.2% to +0.3%', from the ends of alpha."""
    return f"ten times the size changes the loss by {-effect_of(high):+.2%} to {-effect_of(low):+.2%}"
