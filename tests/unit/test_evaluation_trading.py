"""Hypothetical trading: nothing is traded before it could be, nothing is free, luck is discounted."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from finscale.config import Task
from finscale.errors import InputError
from finscale.evaluation import trading
from finscale.evaluation.bootstrap import draw_days

DAYS = pd.bdate_range("2016-01-04", periods=8)


def bars(opens: list[float], asset: str = "X") -> pd.DataFrame:
    return pd.DataFrame({"date": DAYS[: len(opens)], "asset": asset, "open": opens})


def predictions(model: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"date": DAYS[: len(model)], "asset": "X", "model": model, "base_rate": 0.5})


def test_a_signal_earns_from_the_next_open_to_the_one_after() -> None:
    earned = trading.next_open_returns(bars([100, 100, 110, 99, 99]), DAYS[:5])
    assert earned["X"].round(6).tolist() == [0.1, -0.1, 0.0]  # the last two days have no two later opens
    with pytest.raises(InputError, match="no test day has two later opens"):
        trading.next_open_returns(bars([100, 100]), DAYS[:2])


def test_a_price_of_the_signal_s_own_day_earns_nothing() -> None:
    calm, jump = bars([100.0] * 6), bars([100, 100, 500, 100, 100, 100])
    one_signal = trading.positions(trading.signals(predictions([0, 0, 0.9, 0, 0, 0]), "direction", "long_flat"), 1)
    for prices in (calm, jump):  # the jump lies on the signal's day: too late to enter, too early to gain
        account = trading.trade(one_signal, trading.next_open_returns(prices, DAYS[:6]), 0.0)
        assert account["return"].tolist()[2] == 0


def test_overlapping_signals_share_the_capital() -> None:
    signal = trading.signals(predictions([0.9, 0.9, 0.1, 0.1, 0.9, 0.9]), "direction", "long_flat")
    assert trading.positions(signal, 1)["X"].tolist() == [1, 1, 0, 0, 1, 1]
    assert trading.positions(signal, 2)["X"].tolist() == [0.5, 1, 0.5, 0, 0.5, 1]
    assert trading.positions(signal, 5)["X"].max() <= 1
    short = trading.signals(predictions([0.9, 0.1]), "direction", "long_short")
    assert short["X"].tolist() == [1, -1]


def test_a_regression_is_traded_by_its_sign() -> None:
    assert trading.signals(predictions([0.01, -0.01]), "regression", "long_short")["X"].tolist() == [1, -1]


@pytest.mark.parametrize("task", ["volatility", "surprise"])
def test_a_forecast_of_large_moves_is_held_where_they_are_less_likely_than_usual(task: Task) -> None:
    assert trading.signals(predictions([0.9, 0.1]), task, "long_flat")["X"].tolist() == [0, 1]


def test_every_change_of_position_costs_and_so_does_the_way_out() -> None:
    flat = trading.next_open_returns(bars([100.0] * 8), DAYS)
    position = pd.DataFrame({"X": [1.0, 1, 0, 1, 1, 1]}, DAYS[:6])
    account = trading.trade(position, flat, cost_bps=10)
    assert account["turnover"].tolist() == [1, 0, 1, 1, 0, 1]
    np.testing.assert_allclose(account["return"], -account["turnover"] * 0.001)
    assert trading.buy_and_hold(flat, 10)["turnover"].tolist() == [1, 0, 0, 0, 0, 1]


def test_assets_share_the_capital_in_equal_parts() -> None:
    both = pd.concat([bars([100, 100, 110, 110]), bars([100, 100, 90, 90], "Y")])
    held = trading.buy_and_hold(trading.next_open_returns(both, DAYS[:4]), 0)
    assert held["return"].iloc[0] == pytest.approx(0.0)
    assert held["position"].tolist() == [1, 1]


def joined_late() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and bars of X on all days, of Y from the fourth day on, predicted from the sixth."""
    late = pd.DataFrame({"date": DAYS[5:], "asset": "Y", "model": 0.9, "base_rate": 0.5})
    opens = pd.DataFrame({"date": DAYS[3:], "asset": "Y", "open": [50.0, 55, 60, 66, 66]})
    return pd.concat([predictions([0.9] * 8), late]), pd.concat(
        [bars([100.0, 110, 121, 121, 121, 121, 121, 121]), opens]
    )


def test_a_symbol_without_a_prediction_is_neither_held_nor_sold_short() -> None:
    predicted, _ = joined_late()
    held = trading.positions(trading.signals(predicted, "direction", "long_short"), 1)
    assert held["X"].tolist() == [1, 1, 1, 1, 1, 0.5, 0.5, 0.5]
    assert held["Y"].tolist() == [0, 0, 0, 0, 0, 0.5, 0.5, 0.5]
    over_two = trading.positions(trading.signals(predicted, "direction", "long_short"), 2)
    assert over_two["Y"].tolist() == [0, 0, 0, 0, 0, 0.25, 0.5, 0.5]


def test_a_symbol_that_joins_late_leaves_the_days_before_it_as_they_are() -> None:
    predicted, both = joined_late()
    earned = trading.next_open_returns(both, DAYS)
    assert earned["X"].round(6).tolist() == [0.1, 0, 0, 0, 0, 0]
    assert earned["Y"].isna().tolist() == [True, True, False, False, False, False]  # the first open is the fourth day's
    position = trading.positions(trading.signals(predicted, "direction", "long_short"), 1)
    assert trading.trade(position, earned, 0)["return"].iloc[0] == pytest.approx(0.1)
    held = trading.buy_and_hold(earned, 10)
    assert held["position"].tolist() == [1] * 6
    assert held["turnover"].round(9).tolist() == [1, 0, 1, 0, 0, 1]  # half of X makes room for Y


def test_what_has_no_bar_is_held_over_the_gap_and_given_up_at_its_last_open() -> None:
    gap = bars([100.0, 100, 100, 100, 100, 100, 100, 100])
    other = pd.DataFrame({"date": DAYS[[0, 1, 2, 4, 5]], "asset": "Y", "open": [10.0, 10, 10, 20, 20]})
    earned = trading.next_open_returns(pd.concat([gap, other]), DAYS)
    np.testing.assert_array_equal(earned["Y"], [0, 1, np.nan, 0, np.nan, np.nan])
    wanted = pd.DataFrame({"X": 0.0, "Y": [0.5, 0.5, 0.0, 0.5, 0.5, 0.5]}, DAYS[:6])
    account = trading.trade(wanted, earned, 0)
    assert account["position"].tolist() == [0.5, 0.5, 0.5, 0.5, 0, 0]  # nobody could sell on the day without a bar
    assert account["turnover"].tolist() == [0.5, 0, 0, 0, 0.5, 0]
    assert account["return"].tolist() == [0, 0.5, 0, 0, 0, 0]


def test_a_year_has_as_many_bars_as_the_timescale_says() -> None:
    """Weekly bars of three years that gain 24.6 % in all gain 7.6 % a year, not 43 %."""
    weeks = 156
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.normal(size=weeks)
    returns = np.exp(noise - noise.mean() + np.log(1.246) / weeks) - 1
    account = pd.DataFrame({"return": returns, "turnover": 0.0, "position": 1.0})
    found = trading.performance(account, trading.BARS_PER_YEAR["weekly"], 5, 200, 0.95, configurations=1)
    assert found.annual_return == pytest.approx(0.076, abs=0.001)
    assert found.sharpe.value == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(365.25 / 7))


def test_drawdown_counts_from_the_highest_point_and_from_the_start() -> None:
    np.testing.assert_allclose(trading.drawdown(np.array([-0.1, 0.5, -0.5, 0.1])), [-0.1, 0, -0.5, -0.45])


def test_measures_of_a_known_series() -> None:
    rng = np.random.default_rng(0)
    returns = 0.001 + 0.01 * rng.normal(size=2520)
    account = pd.DataFrame({"return": returns, "turnover": 0.1, "position": 1.0})
    found = trading.performance(account, 252, 5, 500, 0.95, configurations=1)
    assert found.sharpe.value == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(252))
    assert found.sharpe.low < 0.1 * np.sqrt(252) < found.sharpe.high
    assert found.total_return == pytest.approx(np.prod(1 + returns) - 1)
    assert found.annual_return == pytest.approx(np.prod(1 + returns) ** 0.1 - 1)
    assert found.annual_turnover == pytest.approx(25.2)
    assert found.deflated_sharpe == found.probabilistic_sharpe > 0.99


def test_the_probabilistic_sharpe_ratio_is_the_normal_one_for_normal_returns() -> None:
    # Without skew, with kurtosis 3 and a small ratio it is the one-sided t-test.
    returns = np.random.default_rng(1).normal(0.0005, 0.01, size=1000)
    p_value = stats.ttest_1samp(returns, 0, alternative="greater").pvalue
    assert trading.probabilistic_sharpe(returns, 0.0) == pytest.approx(1 - p_value, abs=0.005)
    assert trading.probabilistic_sharpe(returns, returns.mean() / returns.std(ddof=1)) == pytest.approx(0.5)


def test_the_best_of_many_lucky_accounts_is_not_believed() -> None:
    rng = np.random.default_rng(2)
    tries = rng.normal(scale=0.01, size=(200, 750))
    sharpe = tries.mean(axis=1) / tries.std(axis=1, ddof=1)
    assert trading.expected_best_sharpe(750, 200) == pytest.approx(sharpe.max(), rel=0.25)
    best = tries[sharpe.argmax()]
    assert trading.probabilistic_sharpe(best, 0.0) > 0.99
    assert trading.probabilistic_sharpe(best, trading.expected_best_sharpe(750, 200)) < 0.9
    assert trading.expected_best_sharpe(750, 1) == 0


def test_an_account_that_never_moves_has_no_sharpe_ratio() -> None:
    idle = np.zeros(300)
    score = trading.sharpe_score(idle, draw_days(np.arange(300), 5, 100, 0), 0.95, 252)
    assert (score.value, score.low, score.high) == (0, 0, 0)
    assert trading.probabilistic_sharpe(idle, 0.0) == 0.5
