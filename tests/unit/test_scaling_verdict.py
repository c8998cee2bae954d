"""Verdicts, what a design can see, and the choice between laws."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from finscale.errors import InputError
from finscale.scaling.laws.choice import best_extrapolation, compare_laws
from finscale.scaling.laws.contrast import Estimate
from finscale.scaling.laws.interactions import two_way_interaction
from finscale.scaling.laws.power_law import bootstrap_exponents, fit_power_law, fit_with_interval, lack_of_fit
from finscale.scaling.laws.resampling import seed_weights
from finscale.scaling.laws.saturation import fit_saturation
from finscale.scaling.verdict import Kind, carries, effect_of, exponent_of, judge, not_judged

SIZES = np.repeat(np.geomspace(1e4, 1e7, 7), 3)


def losses(alpha: float, noise: float, seed: int = 0) -> np.ndarray:
    return 0.6 * SIZES**-alpha * np.exp(np.random.default_rng(seed).normal(scale=noise, size=len(SIZES)))


def between(low: float, high: float) -> Estimate:
    """An estimate in the middle of this 95 % interval, with 20 degrees of freedom."""
    value, error = (low + high) / 2, (high - low) / 2 / stats.t.ppf(0.975, 20)
    p_value = float(2 * stats.t.sf(abs(value) / error, 20))
    return Estimate(value, low, high, p_value, error, 20.0, None, None, error, 10)


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (0.01, 0.03, "scaling"),
        (-0.03, -0.01, "inverse"),
        (-0.004, 0.003, "flat"),
        (-0.004, 0.012, "undecidable"),  # the pilot's interval over days and seeds
    ],
)
def test_each_verdict_is_reached(low: float, high: float, kind: str) -> None:
    verdict = judge(between(low, high))
    assert verdict.kind == kind
    assert verdict.words.startswith(f"{kind}: ")
    assert ("of this curve alone, not adjusted" in verdict.words) == (kind == "flat")


def test_the_word_follows_the_p_value_adjusted_over_all_curves() -> None:
    alpha = between(0.002, 0.02)
    assert alpha.p_value < 0.05
    assert judge(alpha).kind == "scaling"
    among_six = judge(alpha, adjusted_p=6 * alpha.p_value)
    assert among_six.kind == "undecidable"
    assert "among all curves of the report" in among_six.words


def test_a_law_too_small_to_matter_is_named_so() -> None:
    verdict = judge(between(0.001, 0.003))
    assert verdict.kind == "scaling"
    assert "less than 1% per tenfold, the smallest effect of interest" in verdict.words


@pytest.mark.parametrize(
    ("kind", "law", "named"),
    [
        ("scaling", "power law", True),
        ("inverse", "broken power law", True),
        ("flat", "constant", True),
        ("flat", "power law", False),
        ("scaling", "constant", False),
        ("undecidable", "constant", False),
        ("not judged", "irreducible loss", False),
    ],
)
def test_a_law_is_named_where_the_verdict_carries_it_and_nowhere_else(kind: Kind, law: str, named: bool) -> None:
    assert carries(kind, law) is named


def test_a_ladder_without_losses_per_day_is_not_judged() -> None:
    verdict = not_judged(fit_with_interval(SIZES, losses(0.05, 0.01)))
    assert verdict.kind == "not judged"
    assert "over seeds only, which leaves out the test days" in verdict.words


def test_sizes_that_scatter_more_than_their_seeds_are_named() -> None:
    jump = np.repeat(np.array([0, 1, -1, 1, -1, 1, 0]) * 0.02, 3)
    errors = losses(0.0, 0.001) * np.exp(jump)
    p = lack_of_fit(SIZES, errors)
    assert p is not None
    assert p < 1e-6
    assert "more than their seeds explain" in judge(between(-0.01, 0.01), lack_of_fit=p).words
    assert lack_of_fit(SIZES[::3], errors[::3]) is None  # one seed each: nothing to compare with


def test_studies_without_a_law_fit_their_line_as_often_as_they_should() -> None:
    p = np.array([lack_of_fit(SIZES, losses(0.01, 0.02, seed)) for seed in range(300)], float)
    assert 0.02 <= (p < 0.05).mean() <= 0.08


def test_an_effect_and_its_exponent_are_two_names_of_one_thing() -> None:
    assert exponent_of(0.01) == pytest.approx(0.004365, abs=1e-6)
    assert effect_of(exponent_of(0.07)) == pytest.approx(0.07)


def test_a_bootstrap_over_seeds_agrees_with_student_s_interval() -> None:
    ratios = []
    for seed in range(100):
        errors = losses(0.03, 0.02, seed)
        law = fit_with_interval(SIZES, errors)
        resampled = bootstrap_exponents(SIZES, errors, seed_weights(SIZES, 400, seed))
        assert resampled.mean() == pytest.approx(law.alpha, abs=3e-4)
        error = (law.alpha_high - law.alpha_low) / 2 / stats.t.ppf(0.975, len(SIZES) - 2)
        ratios.append(resampled.var() / error**2)
    assert np.mean(ratios) == pytest.approx(1, abs=0.15)
    one = bootstrap_exponents(SIZES, errors, np.ones((1, len(SIZES))))
    assert one[0] == pytest.approx(fit_power_law(SIZES, errors)[0])


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("constant", lambda n: np.full(len(n), 0.6)),
        ("power law", lambda n: 0.9 * n**-0.05),
        ("irreducible loss", lambda n: 0.5 + 3 * n**-0.35),
        ("broken power law", lambda n: 0.9 * n**-0.01 * np.maximum(n / 3e5, 1) ** -0.15),
    ],
)
def test_the_planted_law_is_chosen_and_foretells_the_largest_size(name: str, planted: Callable) -> None:
    errors = planted(SIZES) * np.exp(np.random.default_rng(5).normal(scale=0.001, size=len(SIZES)))
    candidates = {one.name: one for one in compare_laws(SIZES, errors)}
    assert next(iter(candidates)) == name
    assert abs(candidates[name].extrapolation_error) < 0.01
    assert sum(one.weight for one in candidates.values()) == pytest.approx(1)


def test_laws_that_the_sizes_cannot_carry_are_not_offered() -> None:
    three = np.unique(SIZES)[2] >= SIZES
    candidates = compare_laws(SIZES[three], losses(0.05, 0.01)[three])
    assert {one.name for one in candidates} == {"constant", "power law", "irreducible loss"}
    foretold = best_extrapolation(candidates)
    assert foretold is not None
    assert foretold.name == "power law"
    with pytest.raises(InputError, match="at least 3 sizes, found 2"):
        compare_laws(SIZES[:6], losses(0, 0.01)[:6])


FEATURES = np.repeat([20.0, 50, 100, 200, 500, 1000, 2000], 3)


@pytest.mark.parametrize(
    ("bend", "slope", "words"),
    [
        (150, 0.03, "saturates at about"),
        (2000, 0.03, "whether it levels off before 2000 is not established"),
        (2000, 0.0, "no effect of features established"),
        (2000, -0.03, "more features raise the error"),
    ],
)
def test_the_point_where_features_stop_helping_is_found(bend: float, slope: float, words: str) -> None:
    noise = np.exp(np.random.default_rng(2).normal(scale=0.003, size=len(FEATURES)))
    fit = fit_saturation(FEATURES, 0.6 * np.minimum(FEATURES, bend) ** -slope * noise)
    assert words in fit.verdict
    if bend < 2000:
        assert fit.point_low <= bend <= fit.point_high
        assert fit(np.array([2000.0])) == pytest.approx(0.6 * bend**-slope, rel=0.01)


def test_saturation_without_seeds_is_refused() -> None:
    with pytest.raises(InputError, match="repeated seeds, found 7 in 7 runs"):
        fit_saturation(FEATURES[::3], np.ones(7))


def layout(interaction: float, noise: float, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = [
        (budget, tier, 0.6 * np.exp(-0.02 * i - 0.03 * j + interaction * (i and j) + generator.normal(scale=noise)))
        for i, budget in enumerate(("2M", "200M"))
        for j, tier in enumerate(("a20", "a500"))
        for _ in range(4)
    ]
    return pd.DataFrame(rows, columns=["budget", "tier", "test_loss"])


def test_an_interaction_is_measured_with_an_interval_that_covers() -> None:
    covered = 0
    for seed in range(300):
        effect = two_way_interaction(layout(-0.05, 0.02, seed), "budget", "tier").effects.iloc[0]
        covered += effect["low"] <= -0.05 <= effect["high"]
    assert 0.92 <= covered / 300 <= 0.98


def test_no_interaction_is_found_as_often_as_chance_allows() -> None:
    p = [two_way_interaction(layout(0.0, 0.02, seed), "budget", "tier").p_value for seed in range(300)]
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.08


def test_a_layout_without_repeated_cells_is_refused() -> None:
    with pytest.raises(InputError, match="a cell with 2 seeds, found 2 x 2 levels and 4 runs in 4 cells"):
        two_way_interaction(layout(0, 0.1, 0).drop_duplicates(["budget", "tier"]), "budget", "tier")
