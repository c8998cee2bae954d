"""The exponent over seeds and test days: each part of its variance is what it is said to be, and the whole covers."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from finscale.errors import InputError
from finscale.scaling.laws.contrast import Estimate, Runs, estimate
from finscale.scaling.laws.exponent import exponent, exponents_by_year, forecast, forecast_error
from finscale.scaling.laws.interactions import two_way_interaction
from finscale.scaling.laws.power_law import bootstrap_exponents, fit_with_interval
from finscale.scaling.laws.resampling import block_losses
from finscale.scaling.laws.saturation import fit_saturation
from tests.bench.ladders import DECADE, SCENARIOS, Ladder
from tests.bench.laws import interaction, rival, satterthwaite


def level(sizes: np.ndarray, losses: np.ndarray, days: int = 60) -> Runs:
    """Runs that lose the same on every day."""
    seeds = pd.Series(sizes).groupby(sizes).cumcount().to_numpy()
    return Runs(np.tile(np.asarray(losses, float)[:, None], days), sizes, seeds)


def test_the_days_part_is_the_variance_over_redrawn_blocks_of_days() -> None:
    sizes, runs = Ladder(day_slope=0.004).draw(0.02, seed=1)
    alpha = exponent(sizes, runs).alpha
    redrawn = block_losses(runs.daily, alpha.block_length, 4000)
    spread = bootstrap_exponents(sizes, redrawn, np.ones_like(redrawn)).std()
    few_blocks = np.sqrt(1 - alpha.block_length / 750)
    assert alpha.days * few_blocks == pytest.approx(spread, rel=0.04)


def test_the_seeds_part_of_crossed_seeds_is_student_s_of_the_slopes_per_seed() -> None:
    sizes, runs = Ladder(seed_slope=0.005).draw(0.02, seed=2)
    found = exponent(sizes, runs)
    slopes = list(found.by_seed.values())
    assert found.alpha.value == pytest.approx(np.mean(slopes))
    assert found.alpha.seeds == pytest.approx(np.std(slopes, ddof=1) / np.sqrt(3))


def test_the_misfit_part_is_the_error_of_the_line_through_the_means() -> None:
    sizes, runs = Ladder(size_effect=0.02).draw(0.02, seed=3)
    means = np.log(runs.losses()).reshape(5, 3).mean(axis=1)
    assert exponent(sizes, runs).alpha.misfit == pytest.approx(stats.linregress(np.log(sizes[::3]), means).stderr)


def test_days_with_more_rows_weigh_more_as_in_the_ledger_s_loss() -> None:
    sizes, runs = Ladder().draw(0.02, seed=4)
    rows = np.random.default_rng(0).integers(1, 20, 750)
    weighed = Runs(runs.daily, runs.cells, runs.seeds, 5, rows)
    assert weighed.losses() == pytest.approx(np.average(runs.daily, axis=1, weights=rows))
    expected = fit_with_interval(sizes, weighed.losses()).alpha
    assert exponent(sizes, weighed).alpha.value == pytest.approx(expected)


@pytest.mark.parametrize("alpha", [0.0, 0.03])
@pytest.mark.parametrize(
    "scenario", ["noise rises with size", "slope by seed, 0.01 a decade", "slope of test days, 0.004"]
)
def test_the_interval_covers_where_that_of_seeds_alone_does_not(scenario: str, alpha: float) -> None:
    """100 studies of 300 days: bounds of two standard errors. tests/bench/laws.py coverage has all of it."""
    ladder = Ladder(**vars(SCENARIOS[scenario]) | {"days": 300})
    studies = [ladder.draw(alpha, seed) for seed in range(100)]
    alphas = [exponent(*study).alpha for study in studies]
    covered = np.mean([one.low <= alpha <= one.high for one in alphas])
    alone = [fit_with_interval(sizes, runs.losses()) for sizes, runs in studies]
    assert covered >= 0.9
    assert covered > np.mean([one.alpha_low <= alpha <= one.alpha_high for one in alone]) + 0.03


def test_an_effect_of_the_detectable_size_is_found_at_least_as_often_as_it_says() -> None:
    ladder = Ladder(day_slope=0.003)
    detectable = np.mean([exponent(*ladder.draw(0.0, seed)).alpha.detectable() for seed in range(30)])
    found = [exponent(*ladder.draw(float(detectable), 1000 + seed)).alpha.low > 0 for seed in range(80)]
    assert 0.7 <= np.mean(found) <= 0.98


def test_equal_losses_are_an_exponent_of_exactly_zero() -> None:
    sizes = np.repeat([1e4, 1e5, 1e6], 2)
    alpha = exponent(sizes, level(sizes, np.full(6, 0.5))).alpha
    assert (alpha.value, alpha.low, alpha.high, alpha.p_value) == (0.0, 0.0, 0.0, 1.0)
    law = fit_with_interval(sizes, np.full(6, 0.5))
    assert (law.alpha, law.alpha_low, law.alpha_high, law.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_an_exact_law_without_scatter_is_found_exactly() -> None:
    sizes = np.repeat([1e4, 1e5, 1e6], 2)
    alpha = exponent(sizes, level(sizes, 0.9 * sizes**-0.05)).alpha
    assert (alpha.value, alpha.low, alpha.high) == pytest.approx((0.05, 0.05, 0.05))
    assert alpha.p_value == 0.0


SIZES = np.repeat([1e4, 1e5, 1e6, 1e7], 2)


@pytest.mark.parametrize(
    ("sizes", "losses", "confidence", "message"),
    [
        (SIZES, np.full(8, 0.5), 95, "confidence 95 is no share between 0 and 1: 95 % is written 0.95"),
        (1e6 * (1 + 1e-5 * np.arange(8)), np.full(8, 0.5), 0.95, "at least 3 sizes, found 1"),
        (SIZES, np.r_[np.full(7, 0.5), np.inf], 0.95, "not finite|found inf at position 7"),
        (SIZES, np.r_[np.full(7, 0.5), -1.0], 0.95, "positive, finite .* found -1 at position 7"),
    ],
)
def test_what_means_nothing_is_refused(sizes: np.ndarray, losses: np.ndarray, confidence: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        exponent(sizes, level(sizes, losses), confidence)
    with pytest.raises(InputError, match=message):
        fit_with_interval(sizes, losses, confidence)


def test_runs_of_unequal_number_are_refused() -> None:
    runs = level(SIZES, np.full(8, 0.5))
    with pytest.raises(InputError, match="8 runs with daily losses, but 8 cells, 8 seeds and 7 coefficients"):
        estimate(runs, np.ones(7))
    with pytest.raises(InputError, match="at least 3 days, found 2"):
        estimate(Runs(runs.daily[:, :2], runs.cells, runs.seeds), np.ones(8))


def test_one_seed_per_size_still_has_an_interval_over_misfit_and_days() -> None:
    sizes, runs = Ladder(seeds=1).draw(0.0, seed=5)
    found = exponent(sizes, runs)
    assert (found.alpha.seeds, found.by_seed.keys(), found.equal_noise_p) == (None, {"0"}, None)
    assert found.alpha.low < found.alpha.value < found.alpha.high


def test_bartlett_sees_that_noise_rises_with_size() -> None:
    rising = Ladder(**vars(SCENARIOS["noise rises with size"]) | {"seeds": 5, "days": 60})
    found = {}
    for name, ladder in {"rising": rising, "equal": Ladder(seeds=5, days=60)}.items():
        p_values = [exponent(*ladder.draw(0.0, seed)).equal_noise_p for seed in range(60)]
        found[name] = np.mean(np.array(p_values, float) < 0.05)
    assert found["rising"] >= 0.35
    assert found["equal"] <= 0.13


def test_a_forecast_covers_the_law_and_its_error_is_noise_where_the_law_is_straight() -> None:
    studies = [Ladder(day_slope=0.002, days=250).draw(0.03, seed) for seed in range(60)]
    truth = np.log(0.6) - 0.03 * np.log(1e7 / 1e4)
    held = [(one := forecast(*study, size=1e7)).low <= truth <= one.high for study in studies]
    zero = [(one := forecast_error(*study)).low <= 0 <= one.high for study in studies]
    assert np.mean(held) >= 0.88
    assert np.mean(zero) >= 0.88
    bent, runs = studies[0]
    jump = Runs(runs.daily * np.where(bent > 5e5, 1.5, 1.0)[:, None], runs.cells, runs.seeds, 5)
    assert forecast_error(bent, jump).high < 0  # foretold far less than was measured


def test_the_mean_over_years_spans_years_that_differ() -> None:
    """Six years whose own exponents scatter by 0.01 about 0: the mean of one pooled fit would be too sure of itself."""
    years, covered, spreads = np.repeat(np.arange(2013, 2019), 120), 0, []
    for seed in range(40):
        own = np.random.default_rng(seed).normal(scale=0.01, size=6)
        parts = [Ladder(days=120, largest_noise=0.005, smallest_noise=0.005).draw(a, 100 * seed + i)
                 for i, a in enumerate(own)]  # fmt: skip
        daily = np.hstack([runs.daily for _, runs in parts])
        found = exponents_by_year(parts[0][0], Runs(daily, parts[0][1].cells, parts[0][1].seeds, 5), years)
        covered += found.low <= 0 <= found.high
        spreads.append(found.spread)
    assert found.table["year"].tolist() == list(range(2013, 2019))
    assert covered >= 34
    assert np.median(spreads) == pytest.approx(0.01, abs=0.004)
    with pytest.raises(InputError, match="at least 3 years, found 2"):
        exponents_by_year(parts[0][0], Runs(daily[:, :240], parts[0][1].cells, parts[0][1].seeds), years[:240])


def test_a_paired_difference_is_sharper_than_two_losses_that_share_their_days() -> None:
    generator = np.random.default_rng(0)
    common = generator.normal(size=500) * 0.3
    daily = 0.6 + common + generator.normal(size=(6, 500)) * 0.02 + np.repeat([0.0, 0.01], 3)[:, None]
    runs = Runs(daily, np.repeat([0, 1], 3), np.tile(np.arange(3), 2))
    paired = estimate(runs, np.repeat([-1 / 3, 1 / 3], 3), log=False)
    alone = estimate(runs, np.repeat([0.0, 1 / 3], 3), log=False)
    assert paired.low > 0
    assert paired.low < 0.01 < paired.high
    assert alone.standard_error > 5 * paired.standard_error


@pytest.mark.parametrize("alone", [True, False])
def test_a_contrast_of_cells_has_a_quantile_for_each_part_and_a_p_value_to_match(alone: bool) -> None:
    generator = np.random.default_rng(7)
    daily = 0.6 + 0.02 * generator.normal(size=(4, 300)) + 0.03 * generator.normal(size=(4, 1))
    daily[2:] += 0.001 * generator.normal(size=300)
    runs = Runs(daily, np.repeat([0, 1], 2), np.array([0, 1, 2, 3] if alone else [0, 1, 0, 1]))
    found = estimate(runs, np.repeat([-0.5, 0.5], 2))
    variance, degrees = np.array(found.parts).T
    assert np.sqrt(variance) == pytest.approx([found.seeds, found.days])
    half = np.sqrt((stats.t.ppf(0.975, degrees) ** 2 * variance).sum())
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))
    assert found.interval(0.95) == pytest.approx((found.low, found.high))
    edge = found.low if found.value > 0 else found.high
    low, high = found.interval(1 - found.p_value)  # its end is zero
    assert min(abs(low), abs(high)) < 1e-9 * abs(found.value)
    assert (edge > 0) == (found.value > 0) if found.p_value < 0.05 else (edge > 0) != (found.value > 0)


@pytest.mark.parametrize("contrast", [rival, interaction])
def test_two_seeds_find_nothing_where_nothing_is(contrast: Callable[[int, float, float, int], Estimate]) -> None:
    """300 studies: within two standard errors of 5 %, where one quantile by Satterthwaite's degrees is beyond."""
    drawn = [contrast(2, 0.003, 0.001, study) for study in range(300)]
    assert np.mean([one.p_value < 0.05 for one in drawn]) <= 0.075
    assert np.mean([satterthwaite(one) < 0.05 for one in drawn]) > 0.075


def test_a_cell_of_one_run_scatters_as_the_repeated_ones_do() -> None:
    """One seed in three cells of an interaction, five in the fourth: without their noise it would be called certain."""
    cells, signs = np.array([0, 1, 2, 3, 3, 3, 3, 3]), np.array([1, -1, -1, *[0.2] * 5])
    found = []
    for study in range(200):
        generator = np.random.default_rng(study)
        means = 0.6 * np.exp(0.01 * generator.normal(size=8))
        daily = means[:, None] * (1 + 0.3 * generator.normal(size=100))
        found.append(estimate(Runs(daily, cells, np.array([0, 0, 0, 0, 1, 2, 3, 4])), signs))
    last = np.log(means[3:])
    assert found[-1].seeds == pytest.approx(last.std(ddof=1) * np.sqrt(3 + 1 / 5))
    assert np.mean([one.p_value < 0.05 for one in found]) <= 0.08


def interaction_layout(generator: np.random.Generator, effect: float) -> tuple[pd.DataFrame, Runs]:
    """2 x 2 cells of 3 seeds on 300 days; the days move the interaction by 0.01."""
    rows = pd.DataFrame([(a, b, s) for a in "xy" for b in "uv" for s in range(3)], columns=["first", "second", "seed"])
    both = ((rows["first"] == "y") & (rows["second"] == "v")).to_numpy()
    common, tilt = generator.normal(size=(2, 300)) * [[0.3], [0.01 * np.sqrt(300)]]
    means = 0.6 * np.exp(effect * both + 0.004 * generator.normal(size=12))
    daily = means[:, None] * (1 + common + both[:, None] * tilt)
    runs = Runs(daily, np.arange(12), rows["seed"].to_numpy())
    return rows.assign(test_loss=runs.losses()), runs


def test_an_interaction_over_days_covers_where_seeds_alone_do_not() -> None:
    generator, covered, alone = np.random.default_rng(1), 0, 0
    for _ in range(30):
        rows, runs = interaction_layout(generator, -0.02)
        on_days, seeds = (two_way_interaction(rows, "first", "second", on_days=one) for one in (runs, None))
        covered += on_days.effects.iloc[0]["low"] <= -0.02 <= on_days.effects.iloc[0]["high"]
        alone += seeds.effects.iloc[0]["low"] <= -0.02 <= seeds.effects.iloc[0]["high"]
    assert on_days.days
    assert covered >= 26
    assert alone <= 22


def test_saturation_over_days_is_wider_than_over_seeds_where_days_move_the_slope() -> None:
    features = np.repeat(np.geomspace(20, 2000, 5).round(), 3)
    _, runs = Ladder(day_slope=0.004).draw(0.0, seed=9)
    seeds, days = (fit_saturation(features, runs.losses(), 500, runs=one) for one in (None, runs))
    assert days.slope_high - days.slope_low > 1.5 * (seeds.slope_high - seeds.slope_low)
    assert (seeds.days, days.days, days.status) == (False, True, "unidentified")
    assert "no effect of features established" in days.verdict


def test_the_simulated_ladders_scatter_as_they_say() -> None:
    for name, ladder in SCENARIOS.items():
        alphas = [
            fit_with_interval(*(lambda s, r: (s, r.losses()))(*ladder.draw(0.0, seed))).alpha for seed in range(200)
        ]
        assert np.std(alphas) == pytest.approx(ladder.standard_error(), rel=0.2), name
    assert SCENARIOS["slope by seed, 0.01 a decade"].seed_slope * DECADE == pytest.approx(0.01)
