"""Laws in two sizes: they give back what was planted, and what was published."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from finscale.errors import InputError
from finscale.scaling.laws.minimise import minimise
from finscale.scaling.laws.optimum import compute_optimal, isoflop_profiles, params_exponent
from finscale.scaling.laws.resampling import block_losses, run_weights, seed_weights, smoothed_losses
from finscale.scaling.laws.surface import HUBER_DELTA, LEAST_SQUARES, LossLaw, bootstrap_loss_law, fit_loss_law
from tests.bench.laws import CURVE, LADDER, SURFACE, covered, grid

CHINCHILLA = Path("../shared/data/chinchilla")
BUDGETS = [6e18, 1e19, 3e19, 6e19, 1e20, 3e20, 6e20, 1e21, 3e21]


@pytest.fixture(scope="module")
def published() -> dict:
    if not (CHINCHILLA / "expected.json").exists():
        pytest.skip(f"{CHINCHILLA} is not here: the published points are not part of the repository")
    return json.loads((CHINCHILLA / "expected.json").read_text())


@pytest.fixture(scope="module")
def chinchilla(published: dict) -> pd.DataFrame:
    """The 240 points of the replication: the five highest losses are left out, tokens are FLOPs / 6 N."""
    points = pd.read_csv(CHINCHILLA / "svg_extracted_data.csv")
    points = points[points["loss"] < points["loss"].nlargest(5).min()]
    assert len(points) == published["rows_used"]
    return pd.DataFrame(
        {"params": points["Model Size"], "flops": points["Training FLOP"], "loss": points["loss"]}
    ).assign(tokens=lambda p: p["flops"] / 6 / p["params"])


@pytest.fixture(scope="module")
def fitted(chinchilla: pd.DataFrame) -> LossLaw:
    return fit_loss_law(chinchilla[["params", "tokens"]].to_numpy(), chinchilla["loss"].to_numpy())


def test_an_exact_surface_is_found_exactly() -> None:
    sizes = grid(1)
    law = fit_loss_law(sizes, SURFACE(*sizes.T))
    assert law.irreducible == pytest.approx(1.8, rel=1e-4)
    assert law.exponents == pytest.approx((0.35, 0.37), rel=1e-3)


def test_a_law_in_one_size_finds_its_floor() -> None:
    sizes = np.geomspace(1e4, 1e8, 9)
    law = fit_loss_law(sizes, 0.55 + 3.0 * sizes**-0.3)
    assert (law.irreducible, *law.coefficients, *law.exponents) == pytest.approx((0.55, 3.0, 0.3), rel=1e-3)


def test_outliers_move_the_huber_fit_less_than_least_squares() -> None:
    sizes = grid(2)
    losses = SURFACE(*sizes.T) * np.exp(np.random.default_rng(0).normal(scale=1e-3, size=len(sizes)))
    losses[::10] *= 1.1
    huber, squares = (fit_loss_law(sizes, losses, delta)(*sizes.T) for delta in (1e-3, LEAST_SQUARES))
    away_huber, away_squares = (np.abs(fit / SURFACE(*sizes.T) - 1).mean() for fit in (huber, squares))
    assert away_huber < away_squares / 10


def test_the_published_fit_is_reproduced(published: dict, fitted: LossLaw) -> None:
    expected = published["huber_grid_fit_published"]
    found = {"E": fitted.irreducible, "alpha": fitted.exponents[0], "beta": fitted.exponents[1]}
    for name, value in found.items():
        assert value == pytest.approx(expected[name], rel=0.005), name
    assert fitted.objective * fitted.points <= expected["objective"] * (1 + 1e-6)  # no worse a minimum


def test_the_published_intervals_are_reproduced(published: dict, fitted: LossLaw, chinchilla: pd.DataFrame) -> None:
    sizes, losses = chinchilla[["params", "tokens"]].to_numpy(), chinchilla["loss"].to_numpy()
    resampled = bootstrap_loss_law(fitted, sizes, losses, run_weights(len(losses), 4000))
    intervals = dict(
        zip(("E", "A", "alpha", "B", "beta"), np.quantile(resampled, [0.025, 0.975], axis=0).T, strict=True)
    )
    for name in ("E", "alpha", "beta"):
        low, high = published["ci95_published"][name]
        assert intervals[name] == pytest.approx([low, high], rel=0.1), name
        assert np.ptp(intervals[name]) == pytest.approx(high - low, rel=0.1), name


def test_a_resample_is_solved_as_scipy_s_lbfgs_solves_it(fitted: LossLaw, chinchilla: pd.DataFrame) -> None:
    sizes, losses = chinchilla[["params", "tokens"]].to_numpy(), chinchilla["loss"].to_numpy()
    weights = run_weights(len(losses), 3, seed=1)

    def objective(theta: np.ndarray, weight: np.ndarray) -> float:
        terms = [np.full(len(losses), theta[0]), theta[1] - theta[2] * np.log(sizes[:, 0])]
        predicted = np.logaddexp.reduce([*terms, theta[3] - theta[4] * np.log(sizes[:, 1])])
        residual = np.abs(predicted - np.log(losses))
        return float(weight @ np.where(residual < 1e-3, residual**2 / 2, 1e-3 * (residual - 5e-4)))

    for row, weight in zip(bootstrap_loss_law(fitted, sizes, losses, weights), weights, strict=True):
        ours = np.array([np.log(row[0]), np.log(row[1]), row[2], np.log(row[3]), row[4]])
        scipy_s = minimize(objective, fitted.theta(), args=(weight,), method="L-BFGS-B", options={"maxiter": 2000})
        assert objective(ours, weight) <= scipy_s.fun * (1 + 1e-6)


def test_the_optimum_lies_where_the_profiles_put_it(published: dict, fitted: LossLaw, chinchilla: pd.DataFrame) -> None:
    share, width = published["a_share_beta_over_sum_published"]
    best = compute_optimal(fitted, flops=1e21)
    assert best.params_exponent == pytest.approx(share, abs=0.005)
    columns = (chinchilla[name].to_numpy() for name in ("params", "flops", "loss"))
    exponent, error = params_exponent(isoflop_profiles(*columns, BUDGETS))
    assert abs(exponent - share) < 2 * (width + error)


def test_no_other_split_of_the_compute_loses_less() -> None:
    best = compute_optimal(SURFACE, flops=1e20)
    assert 6 * best.params * best.tokens == pytest.approx(1e20)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert SURFACE(best.params * factor, best.tokens / factor) > best.loss


def test_profiles_find_the_planted_optimum() -> None:
    flops, params = (axis.ravel() for axis in np.meshgrid([1e18, 1e19, 1e20], np.geomspace(0.25, 4, 7)))
    params = params * [compute_optimal(SURFACE, budget).params for budget in flops]
    profiles = isoflop_profiles(params, flops, SURFACE(params, flops / 6 / params), [1e18, 1e19, 1e20])
    assert profiles["inside"].all()
    assert params_exponent(profiles)[0] == pytest.approx(0.37 / 0.72, abs=0.01)


def test_the_intervals_of_a_surface_cover_about_as_often_as_they_say() -> None:
    """60 studies with the loss that made them too wide: bounds of two standard errors. All cases: the slow test."""
    found = covered(SURFACE, grid(2), HUBER_DELTA, range(60), 200, smooth=True)
    assert (found >= 0.89).all()
    assert found.mean() <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(
    ("planted", "sizes", "delta"),
    [(SURFACE, grid(2), HUBER_DELTA), (SURFACE, grid(2), LEAST_SQUARES), (CURVE, LADDER, LEAST_SQUARES)],
    ids=["N and D, Huber", "N and D, squares", "N alone"],
)
def test_intervals_cover_between_92_and_98_times_in_a_hundred(
    planted: LossLaw, sizes: np.ndarray, delta: float
) -> None:
    """300 studies that no choice was made on."""
    found = covered(planted, sizes, delta, range(1000, 1300), 400, smooth=True)
    assert (found >= 0.92).all()
    assert (found <= 0.98).all()


def test_smoothed_losses_scatter_as_the_runs_do() -> None:
    fitted = np.linspace(2.0, 3.0, 400)
    losses = fitted * np.exp(np.random.default_rng(0).normal(scale=0.01, size=400))
    drawn = np.log(smoothed_losses(fitted, losses, 5, 500) / fitted)
    assert drawn.std() == pytest.approx(np.log(losses / fitted).std() * np.sqrt(400 / 395), rel=0.01)
    assert len(np.unique(drawn[0].round(12))) == 400  # redrawn runs would repeat a third of them


def test_redrawn_seeds_give_the_variance_of_the_mean_without_bias() -> None:
    sizes, generator = np.repeat([1, 2, 3, 4, 5], 3), np.random.default_rng(0)
    ratios = []
    for seed in range(200):
        values = generator.normal(size=15)
        means = seed_weights(sizes, 400, seed) @ values / 15
        ratios.append(means.var() / (1 / 15))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.06)


def test_every_resample_of_seeds_holds_every_size() -> None:
    sizes = np.array([10, 10, 10, 20, 20, 30])
    weights = seed_weights(sizes, 50)
    assert all(weights[:, sizes == size].sum(axis=1) == pytest.approx((sizes == size).sum()) for size in (10, 20, 30))


def test_blocks_of_days_move_all_runs_together() -> None:
    days = np.random.default_rng(0).normal(size=250)
    resampled = block_losses(np.stack([days, days + 0.5]), block_length=10, resamples=100)
    assert resampled[:, 1] - resampled[:, 0] == pytest.approx(0.5)
    assert resampled[:, 0].std() > 0


def test_many_problems_are_minimised_as_each_alone() -> None:
    centres = np.array([[1.0, -2.0], [30.0, 4.0], [0.0, 0.0]])

    def objective(theta: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        away = theta - centres[rows]
        return (away**2 * [1, 100]).sum(axis=1), 2 * away * [1, 100]

    found = minimise(objective, np.zeros((3, 2)), np.tile(np.eye(2), (3, 1, 1)), tolerance=1e-12)
    assert found.converged.all()
    assert found.theta == pytest.approx(centres, abs=1e-5)


@pytest.mark.parametrize(
    ("sizes", "losses", "message"),
    [
        (np.geomspace(1, 10, 3), np.ones(3), "at least 4 runs, found 3"),
        (np.repeat([1.0, 2.0], 4), np.ones(8), "at least 3 values of each size, found 2 of size 1"),
        (np.arange(8.0), np.ones(8), "positive, finite"),
        (np.arange(1.0, 9.0), np.full(8, np.nan), "positive, finite"),
    ],
)
def test_a_surface_that_means_nothing_is_refused(sizes: np.ndarray, losses: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_loss_law(sizes, losses)


def test_a_compute_optimum_needs_falling_terms() -> None:
    with pytest.raises(InputError, match="positive exponents"):
        compute_optimal(LossLaw(1.0, (1.0, 1.0), (0.3, -0.1), 0.0, 0), 1e20)
    with pytest.raises(InputError, match="4 sizes at the same FLOPs"):
        isoflop_profiles(np.array([1e6, 1e7]), np.array([1e18, 1e18]), np.ones(2), [1e18])
