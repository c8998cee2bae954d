"""Laws that know what they do not know: planted unknowns come back, and a design that cannot tell says so."""

import re

import numpy as np
import pandas as pd
import pytest

from finscale.config import parse_budget
from finscale.errors import InputError
from finscale.scaling.isoflop import MIN_LEVELS, compute_levels, isoflop_words, missing_runs
from finscale.scaling.laws.choice import choice_words, compare_laws, winner
from finscale.scaling.laws.exponent import exponent
from finscale.scaling.laws.frontier import compute_frontier
from finscale.scaling.laws.multiple import holm
from finscale.scaling.laws.optimum import MIN_PROFILE_SIZES, compute_optimal, isoflop_profiles, optimum_interval
from finscale.scaling.laws.power_law import fit_power_law, fit_with_interval
from finscale.scaling.laws.prediction import corner_forecast, prediction_interval
from finscale.scaling.laws.repetition import (
    DataConstrainedLaw,
    PenaltyLaw,
    effective_windows,
    fit_data_constrained,
    fit_with_penalty,
)
from finscale.scaling.laws.resampling import run_weights
from finscale.scaling.laws.surface import LEAST_SQUARES, LossLaw, bootstrap_loss_law, fit_loss_law
from finscale.scaling.verdict import judge
from tests.bench.ladders import Ladder
from tests.bench.laws import CURVE, LADDER, SURFACE, grid

SEED_PARAMS, SEED_ERRORS = np.array([1.82e6, 19e6, 202e6, 2.04e9]), np.array([0.52, 0.48, 0.44, 0.41])


def noisy(losses: np.ndarray, scatter: float = 0.003, seed: int = 0) -> np.ndarray:
    return losses * np.exp(np.random.default_rng(seed).normal(scale=scatter, size=losses.shape))


def test_the_seed_document_s_example_has_the_right_exponent_and_no_winner() -> None:
    """By hand: alpha = -cov(ln N, ln error) / var(ln N) = 0.0341514."""
    alpha, _, r_squared = fit_power_law(SEED_PARAMS, SEED_ERRORS)
    assert alpha == pytest.approx(0.03415137, abs=1e-8)
    assert r_squared > 0.99
    assert fit_with_interval(SEED_PARAMS, SEED_ERRORS).alpha_low > 0
    candidates = compare_laws(SEED_PARAMS, SEED_ERRORS)
    assert winner(candidates) is None
    assert "which law holds cannot be told (1 of 4 laws could be judged)" in choice_words(candidates)
    assert "its scatter over seeds is not known" in choice_words(candidates)


def test_six_curves_of_pure_noise_are_called_a_law_at_most_one_time_in_twenty() -> None:
    called = 0
    for family in range(20):
        alphas = {str(i): exponent(*Ladder(days=120).draw(0.0, 6 * family + i)).alpha for i in range(6)}
        adjusted = holm({name: one.p_value for name, one in alphas.items()})
        called += any(judge(alphas[name], p).kind in ("scaling", "inverse") for name, p in adjusted.items())
    assert called <= 3  # 1 expected at most; two standard errors


@pytest.mark.parametrize("losses", [SURFACE(LADDER[:, 0] * 1e3, LADDER[:, 0] * 1e4), np.full(21, 0.5)])
def test_n_proportional_to_d_is_unidentified(losses: np.ndarray) -> None:
    sizes = np.column_stack([LADDER[:, 0], 20 * LADDER[:, 0]])
    assert fit_loss_law(sizes, noisy(losses), LEAST_SQUARES).status == "unidentified"


@pytest.mark.parametrize(
    ("losses", "status"),
    [
        (CURVE(LADDER[:, 0]), "converged"),
        (noisy(CURVE(LADDER[:, 0])), "converged"),
        (0.9 * LADDER[:, 0] ** -0.05, "at a bound"),
        (np.full(21, 0.5), "unidentified"),
        (noisy(np.full(21, 0.5)), "unidentified"),
    ],
)
def test_every_fit_has_a_status(losses: np.ndarray, status: str) -> None:
    assert fit_loss_law(LADDER, losses, LEAST_SQUARES).status == status


@pytest.mark.parametrize("bad", [np.inf, np.nan, 0.0])
def test_a_loss_that_is_no_number_is_named_with_its_place(bad: float) -> None:
    losses = CURVE(LADDER[:, 0])
    losses[4] = bad
    for fit in (fit_loss_law, compare_laws, fit_power_law):
        with pytest.raises(InputError, match=f"found {bad:g} at position 4"):
            fit(LADDER if fit is fit_loss_law else LADDER[:, 0], losses)


def test_sizes_within_a_hundred_thousandth_are_one_size() -> None:
    near = 1e6 * (1 + 1e-5 * np.arange(9))
    for fit in (fit_power_law, compare_laws, fit_loss_law):
        with pytest.raises(InputError, match=r"at least 3 .*found 1"):
            fit(near, noisy(np.full(9, 0.5)))


FIVE = np.array([[1e6, 1e8], [1e7, 1e9], [1e8, 1e9], [1e7, 1e8], [1e8, 1e10]])


@pytest.mark.parametrize("exponents", [("both", "both"), (0.35, None), (0.35, 0.35)])
def test_five_runs_are_enough_where_exponents_are_tied_or_fixed(exponents: tuple) -> None:
    planted = LossLaw(1.8, (480.0, 2100.0), (0.35, 0.35), 0.0, 0)
    sizes = FIVE if exponents[1] is not None else np.vstack([FIVE, [[1e9, 1e9], [1e9, 1e10]]])
    law = fit_loss_law(sizes, planted(*sizes.T), LEAST_SQUARES, exponents)
    assert law.irreducible == pytest.approx(1.8, rel=1e-4)
    assert law.exponents == pytest.approx((0.35, 0.35), rel=1e-4)
    assert law.status == "converged"


def test_five_runs_with_free_exponents_are_refused() -> None:
    with pytest.raises(InputError, match="5 unknowns needs at least 6 runs, found 5"):
        fit_loss_law(FIVE, np.ones(5))
    with pytest.raises(InputError, match="1 exponents for a law with 2 sizes"):
        fit_loss_law(FIVE, np.ones(5), exponents=(0.3,))


def test_a_winner_is_named_where_all_laws_could_be_judged() -> None:
    candidates = compare_laws(LADDER[:, 0], noisy(CURVE(LADDER[:, 0]), 0.001))
    assert winner(candidates) is candidates[0]
    assert candidates[0].name == "irreducible loss"
    assert "AICc prefers: irreducible loss" in choice_words(candidates)
    assert "its seeds alone scatter it by ±0.0" in choice_words(candidates)


REPEATED = tuple(
    axis.ravel() for axis in np.meshgrid(np.geomspace(1e6, 1e9, 4), np.geomspace(1e8, 1e10, 3), [1.0, 2, 4, 8, 20, 60])
)
N, U, D = REPEATED[0], REPEATED[1], REPEATED[1] * REPEATED[2]


def test_the_value_of_repeated_windows_is_found() -> None:
    planted = DataConstrainedLaw(SURFACE, 15.4, 0.0, 0.0, "converged")
    exact = fit_data_constrained(N, U, D, planted(N, U, D))
    assert exact.decay == pytest.approx(15.4, rel=1e-3)
    assert exact.base.exponents == pytest.approx(SURFACE.exponents, rel=1e-3)
    found = fit_data_constrained(N, U, D, noisy(planted(N, U, D)))
    assert found.decay_low <= 15.4 <= found.decay_high
    assert found.status == "converged"


def test_effective_windows_are_all_of_the_first_pass_and_never_more_than_can_be_learnt() -> None:
    """Muennighoff et al.: R* = 15 makes four passes worth nearly four; 1 + R* passes are the limit."""
    assert effective_windows(np.array([100.0]), np.array([100.0]), 15.0) == pytest.approx(100)
    assert effective_windows(np.array([100.0]), np.array([400.0]), 15.0) == pytest.approx(371.9, abs=0.1)
    assert effective_windows(np.array([100.0]), np.array([1e9]), 15.0) == pytest.approx(1600)
    with pytest.raises(InputError, match=r"saw 0\.5 of its unique windows"):
        effective_windows(np.array([100.0]), np.array([50.0]), 15.0)


def test_runs_of_one_pass_say_nothing_about_repetitions() -> None:
    sizes = grid(2)
    found = fit_data_constrained(sizes[:, 0], sizes[:, 1], sizes[:, 1], noisy(SURFACE(*sizes.T)))
    assert found.status == "unidentified"
    with pytest.raises(InputError, match="more than once and a half"):
        fit_with_penalty(sizes[:, 0], sizes[:, 1], sizes[:, 1], SURFACE(*sizes.T))


@pytest.mark.parametrize("growth", [1.0, None])
def test_the_overfitting_penalty_is_found_and_says_when_to_stop_repeating(growth: float | None) -> None:
    planted = PenaltyLaw(SURFACE, 0.02, 1.0, "converged")
    found = fit_with_penalty(N, U, D, noisy(planted(N, U, D), 0.001), growth)
    assert found.penalty == pytest.approx(0.02, rel=0.05)
    assert found.growth == pytest.approx(1.0, abs=0.02)
    assert found.status == "converged"
    # d/dR of B (U (1 + R))^-beta + P R N / U is zero at 1 + R = (beta B U^(1 - beta) / (P N))^(1 / (1 + beta)).
    best = (0.37 * 2100 * 1e9 ** (1 - 0.37) / (0.02 * 1e8)) ** (1 / 1.37) - 1
    assert planted.best_repetitions(1e8, 1e9) == pytest.approx(best, rel=1e-4)
    assert planted.best_repetitions(1e12, 1e9) == pytest.approx(0.0, abs=1e-3)


def logged_epochs(params: np.ndarray, seeds: int) -> pd.DataFrame:
    """200 epochs of 1e8 fresh tokens of each size and seed on the planted surface."""
    rows = [
        (n, seed, epoch, 6 * n * 1e8 * epoch, float(SURFACE(np.array(n), np.array(1e8 * epoch))))
        for n in params
        for seed in range(seeds)
        for epoch in range(1, 201)
    ]
    epochs = pd.DataFrame(rows, columns=["params", "seed", "epoch", "flops", "loss"])
    return epochs.assign(loss=noisy(epochs["loss"].to_numpy(), 0.001))


def test_the_compute_frontier_follows_the_best_size_at_each_budget() -> None:
    frontier = compute_frontier(logged_epochs(np.geomspace(1e6, 1e9, 7), 3), resamples=60)
    flops = frontier.points["flops"].to_numpy()
    best = np.array([compute_optimal(SURFACE, budget).loss for budget in flops])
    planted = -np.polyfit(np.log(flops), np.log(best), 1)[0]
    assert frontier.exponent == pytest.approx(planted, rel=0.05)
    assert frontier.low is not None
    assert frontier.high is not None
    assert frontier.low < frontier.exponent < frontier.high
    assert (frontier.points["loss"].diff().dropna() <= 0).all()
    assert frontier.status == "converged"
    assert compute_frontier(logged_epochs(np.array([1e7]), 1)).status == "unidentified"


def test_the_compute_optimum_has_an_interval_that_holds_the_planted_one() -> None:
    sizes, held = grid(2), 0
    for seed in range(12):
        losses = noisy(SURFACE(*sizes.T), 0.005, seed)
        law = fit_loss_law(sizes, losses, LEAST_SQUARES)
        resampled = bootstrap_loss_law(law, sizes, losses, run_weights(len(losses), 200, seed), LEAST_SQUARES)
        found = optimum_interval(resampled, len(losses), flops=1e20)
        truth = compute_optimal(SURFACE, flops=1e20)
        held += found.low.params <= truth.params <= found.high.params
        assert found.low.tokens < found.high.tokens
    assert held >= 10
    rising = np.tile([1.8, 480, -0.1, 2100, 0.37], (50, 1))
    with pytest.raises(InputError, match="in 100% of the resamples the loss does not fall with both"):
        optimum_interval(rising, 50, 1e20)


def test_a_new_run_lies_in_its_prediction_interval_and_the_corner_is_foretold() -> None:
    sizes, asked, inside = grid(2), np.array([[3e9, 3e11]]), 0
    for seed in range(20):
        losses = noisy(SURFACE(*sizes.T), 0.005, seed)
        law = fit_loss_law(sizes, losses, LEAST_SQUARES)
        resampled = bootstrap_loss_law(law, sizes, losses, run_weights(len(losses), 150, seed), LEAST_SQUARES)
        low, high = prediction_interval(law, resampled, sizes, losses, asked, seed=seed)
        new = noisy(SURFACE(*asked.T), 0.005, 1000 + seed)
        inside += bool(low[0] <= new[0] <= high[0])
    assert inside >= 17
    held_out = corner_forecast(sizes, losses)
    assert held_out.sizes == (1e9, 1e11)
    assert held_out.runs == 2
    assert held_out.noise == pytest.approx(0.005 / np.sqrt(2), rel=0.5)
    assert abs(held_out.error) < 4 * held_out.noise
    with pytest.raises(InputError, match="the corner of the grid was not run"):
        corner_forecast(sizes[:-2], losses[:-2])


COSTS = {"10K": 2.1e9, "30K": 6.5e10, "100K": 2.2e11, "300K": 7.4e11, "1M": 2.46e12}  # FLOPs of an epoch


def test_the_proposed_isoflop_design_can_be_evaluated_by_the_code_that_proposes_it() -> None:
    ladder = pd.DataFrame(
        [(budget, parse_budget(budget), cost * 12, 12, 0.6) for budget, cost in COSTS.items()],
        columns=["budget", "params_total", "train_flops", "epochs_run", "test_loss"],
    )
    words = missing_runs(ladder, [])
    assert f"needs {MIN_PROFILE_SIZES} sizes at each of {MIN_LEVELS} levels" in words
    design = re.findall(r"budget=(\w+) train\.epochs=(\d+)", words)
    assert len(design) == MIN_PROFILE_SIZES * MIN_LEVELS
    made = pd.DataFrame(
        [(b, parse_budget(b), COSTS[b] * int(e), int(e)) for b, e in design],
        columns=["budget", "params_total", "train_flops", "epochs_run"],
    )
    x = np.log(made["params_total"]) - 0.5 * np.log(made["train_flops"] / 1e9)
    made["test_loss"] = 0.6 + 0.01 * (x - x.mean()) ** 2
    levels = compute_levels(made["params_total"].to_numpy(), made["train_flops"].to_numpy())
    assert len(levels) == MIN_LEVELS
    columns = (made[name].to_numpy(float) for name in ("params_total", "train_flops", "test_loss"))
    assert (isoflop_profiles(*columns, levels)["sizes"] == MIN_PROFILE_SIZES).all()
    assert f"isoFLOP profiles at {MIN_LEVELS} levels" in isoflop_words(made)


def test_compute_budgets_close_to_each_other_are_two_profiles() -> None:
    params = np.tile(np.geomspace(1e6, 1e8, 5), 2)
    flops = np.repeat([1e18, 1.24e18], 5)
    assert compute_levels(params, flops) == pytest.approx([1e18, 1.24e18])
    profiles = isoflop_profiles(params, flops, 0.6 + 0.01 * np.log(params / 1e7) ** 2, [1e18, 1.24e18])
    assert profiles["runs"].tolist() == [5, 5]
