"""The verdict on a power law, in words, and what the design could have seen at all.

"The interval contains zero" is two different findings. Either it is narrow, and any exponent worth having is ruled
out: flat. Or it is wide, and nothing is known: undecidable. The line between them is the smallest effect of
interest: 1 % less loss for ten times the parameters, set once, after the first pilot and before any other curve. Models
of this study are 3 to 5 % better than the base rate, so 1 % is a fifth to a third of all that has been learnt; less
would not pay for the tenfold cost. Flat means that the whole 95 % interval lies within that line on both sides: two
one-sided tests at 2.5 % (Schuirmann 1987; Lakens 2017), stricter than the customary 5 %.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from finscale.scaling.laws.power_law import PowerLaw, fit_with_interval

SMALLEST_EFFECT = 0.01  # relative fall of the loss for ten times the size
POWER = 0.8
_SIMULATED_STUDIES = 4000
_SUSPECT = 0.05  # lack-of-fit p-values below this are mentioned

Kind = Literal["scaling", "flat", "inverse", "undecidable"]


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


def judge(law: PowerLaw, smallest_effect: float = SMALLEST_EFFECT, lack_of_fit: float | None = None) -> Verdict:
    """scaling | flat | inverse | undecidable, from the interval of alpha.

    An interval beside zero is scaling or inverse however small; the words then say so where it is below the smallest
    effect of interest. lack_of_fit: its p-value, mentioned where it casts doubt on the interval.
    """
    smallest = exponent_of(smallest_effect)
    low, high = effect_of(law.alpha_low), effect_of(law.alpha_high)
    per_tenfold = f"ten times the size changes the loss by {-high:+.2%} to {-low:+.2%}"
    line = f"{smallest_effect:.0%} per tenfold, the smallest effect of interest"
    negligible = -smallest < law.alpha_low and law.alpha_high < smallest
    kind: Kind
    if law.alpha_low > 0:
        kind, words = "scaling", "error falls with size" + (f", but by less than {line}" if negligible else "")
    elif law.alpha_high < 0:
        kind, words = "inverse", "error rises with size" + (f", but by less than {line}" if negligible else "")
    elif negligible:
        kind, words = "flat", f"any change is smaller than {line}"
    else:
        kind, words = "undecidable", f"the interval holds both zero and {line}"
    doubt = ""
    if lack_of_fit is not None and lack_of_fit < _SUSPECT:
        doubt = f"; sizes scatter about the line more than their seeds explain (p = {lack_of_fit:.2g}): take with care"
    return Verdict(kind, f"{kind}: {words}; {per_tenfold}{doubt}")


def smallest_detectable_exponent(
    params: np.ndarray, errors: np.ndarray, power: float = POWER, confidence: float = 0.95, seed: int = 0
) -> float:
    """The exponent that this design would have told from zero in `power` of all repetitions.

    Simulated with the study's own sizes, seeds and noise: studies without any law are drawn from the residuals of its
    line (with replacement, enlarged by the two degrees of freedom that the line took) and fitted as the study was.
    A true exponent only shifts the estimate and leaves its standard error alone, so one set of simulations answers
    for every exponent: alpha is found where alpha + error of the estimate > t * standard error.
    """
    x, y = np.log(np.asarray(params, float)), np.log(np.asarray(errors, float))
    law, n = fit_with_interval(params, errors), len(y)
    residuals = (y - np.log(law(np.asarray(params, float)))) * math.sqrt(n / (n - 2))
    noise = np.random.default_rng(seed).choice(residuals, size=(_SIMULATED_STUDIES, n))
    x_centred = x - x.mean()
    slope = noise @ x_centred / (x_centred @ x_centred)
    left = noise - noise.mean(axis=1, keepdims=True) - slope[:, None] * x_centred
    standard_error = np.sqrt((left**2).sum(axis=1) / (n - 2) / (x_centred @ x_centred))
    needed = stats.t.ppf((1 + confidence) / 2, n - 2) * standard_error + slope
    return float(np.quantile(needed, power))
