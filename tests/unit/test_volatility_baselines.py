"""HAR-RV and GARCH as forecasts of volatility and of surprises, and the losses that judge them."""

import numpy as np
import pandas as pd
import pytest

from finscale.config import Task
from finscale.data.dataset import assemble
from finscale.data.labels import label
from finscale.data.splits import UNUSED
from finscale.errors import InputError
from finscale.evaluation import garch, har
from finscale.evaluation.metrics import log_loss_rows
from finscale.evaluation.qlike import qlike_rows
from tests.conftest import ENDS


@pytest.fixture(scope="module")
def priced(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.reset_index().assign(asset="SP500")


def rows_for(task: Task, bars: pd.DataFrame) -> pd.DataFrame:
    features = pd.DataFrame({"date": bars.index[200:], "asset": "SP500", "close": bars["close"].to_numpy()[200:]})
    rows, _ = assemble(features, label(bars, task, 5).assign(asset="SP500"), ENDS, 128)
    return rows[rows["split"] != UNUSED]


@pytest.fixture(scope="module")
def known(bars: pd.DataFrame, priced: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of both tasks with all that the baselines may know."""
    return {task: prepared(rows_for(task, bars), priced) for task in ("volatility", "surprise")}


def prepared(rows: pd.DataFrame, priced: pd.DataFrame) -> pd.DataFrame:
    return har.add_past(priced, garch.add_deviation(priced, rows))


def parts(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return rows[rows["split"] == "train"], rows[rows["split"] == "test"]


def forecasts(rows: pd.DataFrame, task: str, wanted: pd.DataFrame) -> dict[str, np.ndarray]:
    train, _ = parts(rows)
    if task == "volatility":
        return {"har": har.log_forecast(train, wanted), "garch": garch.log_forecast(train, wanted)}
    return {
        "har": har.surprise_probability(train, wanted),
        "garch": garch.exceedance_probability(train, wanted, relative=True),
    }


def test_realised_volatilities_are_those_of_the_last_day_week_and_month(
    known: dict[str, pd.DataFrame], bars: pd.DataFrame
) -> None:
    squares, rows = np.log(bars["close"]).diff() ** 2, known["volatility"]
    for span in (5, 22):
        expected = np.log(np.sqrt(squares.rolling(span).mean()))[rows["date"]].to_numpy()
        np.testing.assert_allclose(rows[f"realised_{span}"], expected)
    returns = np.sqrt(squares[rows["date"]].to_numpy())
    np.testing.assert_allclose(rows["realised_1"], np.log(np.maximum(returns, 1e-4)))
    assert (rows["bars"] == 5).all()


def test_the_label_of_volatility_is_tomorrow_s_realised_volatility(known: dict[str, pd.DataFrame]) -> None:
    rows = known["volatility"].set_index("date")
    later = rows["realised_5"].reindex(rows["exit"])
    seen = later.notna().to_numpy()
    np.testing.assert_allclose(rows["label"].to_numpy()[seen], later.to_numpy()[seen], atol=1e-6)  # labels are float32


def test_har_recovers_the_law_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(200, 3)), columns=list(har.REALISED))
    rows["label"] = 0.5 + rows[list(har.REALISED)] @ [0.1, 0.3, 0.6]
    np.testing.assert_allclose(har.log_forecast(rows, rows), rows["label"])


@pytest.mark.parametrize("name", ["har", "garch"])
def test_volatility_can_be_foreseen_on_days_that_no_fit_has_seen(known: dict[str, pd.DataFrame], name: str) -> None:
    train, test = parts(known["volatility"])
    forecast = forecasts(known["volatility"], "volatility", test)[name]
    naive = np.full(len(test), train["label"].mean())
    skill = 1 - ((test["label"] - forecast) ** 2).mean() / ((test["label"] - naive) ** 2).mean()
    assert skill > 0.25
    assert qlike_rows(test["label"].to_numpy(), forecast).mean() < qlike_rows(test["label"].to_numpy(), naive).mean()


@pytest.mark.parametrize("name", ["har", "garch"])
def test_a_surprise_can_be_foreseen_a_little(known: dict[str, pd.DataFrame], name: str) -> None:
    rows = known["surprise"]
    train, _ = parts(rows)
    probability, y = forecasts(rows, "surprise", train)[name], train["label"].to_numpy()
    assert ((probability > 0) & (probability < 1)).all()
    assert probability.mean() == pytest.approx(y.mean(), abs=1e-3)
    assert log_loss_rows(y, probability).mean() < log_loss_rows(y, np.full(len(y), y.mean())).mean()


@pytest.mark.parametrize("task", ["volatility", "surprise"])
def test_no_forecast_moves_with_a_later_price_or_a_later_label(
    task: Task, known: dict[str, pd.DataFrame], bars: pd.DataFrame, priced: pd.DataFrame
) -> None:
    rows, cut = known[task], pd.Timestamp("2016-06-30")  # fits end with the training rows, in 2013
    moved = np.where(priced["date"] > cut, np.random.default_rng(0).uniform(0.5, 2, len(priced)), 1.0)
    disturbed = bars.assign(close=bars["close"] * moved)
    other = prepared(rows_for(task, disturbed), disturbed.reset_index().assign(asset="SP500"))
    found, again = (forecasts(some, task, some.drop(columns="label")) for some in (rows, other))
    until = (rows["date"] <= cut).to_numpy()
    for name, values in found.items():
        np.testing.assert_array_equal(again[name][until], values[until])
        assert not np.allclose(again[name][~until], values[~until])


def test_too_little_past_is_refused_with_the_day_and_the_remedy(priced: pd.DataFrame) -> None:
    days = priced["date"]
    rows = pd.DataFrame({"date": days[10:12], "asset": "SP500", "exit": days[15:17].to_numpy()})
    with pytest.raises(InputError, match=r"SP500 on 1999-01-19 has too few bars .* raise dataset\.context_reserve"):
        har.add_past(priced, rows)


def test_qlike_is_zero_at_the_truth_and_dearer_below_than_above() -> None:
    realised = np.log([0.01, 0.01, 0.01])
    perfect, low, high = qlike_rows(realised, np.log([0.01, 0.005, 0.02]))
    assert perfect == 0
    assert low == pytest.approx(4 - np.log(4) - 1)
    assert high == pytest.approx(1 / 4 + np.log(4) - 1)


def test_qlike_is_least_at_the_mean_variance() -> None:
    realised = np.log(np.abs(np.random.default_rng(0).standard_normal(2000)) + 0.01)
    grid = np.linspace(-1, 1, 81)
    losses = [qlike_rows(realised, np.full(2000, forecast)).mean() for forecast in grid]
    best = 0.5 * np.log(np.exp(2 * realised).mean())
    assert grid[int(np.argmin(losses))] == pytest.approx(best, abs=0.02)


def test_garch_goes_on_from_another_start_where_its_own_stops_short() -> None:
    """Returns at the edge alpha + beta = 1 with fat tails, as one or two of 500 stocks have them."""
    rng, variance, returns = np.random.default_rng(53), 1.0, np.empty(1200)
    for day, shock in enumerate(rng.standard_t(3, size=len(returns)) / np.sqrt(3)):
        returns[day] = np.sqrt(variance) * shock
        variance = 0.02 + 0.02 * returns[day] ** 2 + 0.98 * variance
    own = garch._garch(pd.Series(returns)).fit(disp="off", show_warning=False)
    assert own.convergence_flag != 0
    found = garch._fit(pd.Series(returns))
    assert found is not None
    assert found.convergence_flag == 0
    assert found.loglikelihood > own.loglikelihood - 5
    easy = pd.Series(rng.normal(size=1200))
    assert garch._fit(easy).params.equals(garch._garch(easy).fit(disp="off", show_warning=False).params)
