"""Symbols of a day told apart: scipy's correlations, days as observations, deciles that hold what they may."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from finscale.config import Task, load_params
from finscale.evaluation import cross_section, trading
from finscale.evaluation.calibration import METHODS
from finscale.evaluation.config import EvaluateConfig
from finscale.evaluation.score_names import CORRELATIONS
from finscale.pages.findings import unseen_words
from finscale.pages.run_tables import cross_section_table, cross_section_words
from finscale.scaling.ledger import add_rows, open_ledger, write_ledger
from stages import evaluate
from tests.unit import test_scaling

DAYS = pd.bdate_range("2015-06-01", periods=300)
SYMBOLS = [f"S{number:02}" for number in range(20)]
CONFIG = EvaluateConfig(resamples=400, confidence=0.95, block_length="auto", conformal_level=0.9, conformal_step=0.02)


def market(known: float, symbols: list[str] = SYMBOLS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bars, and predictions of the next day's return that share `known` of their variation with it."""
    rng = np.random.default_rng(0)
    returns = 0.01 * rng.standard_t(4, size=(len(DAYS), len(symbols)))
    close = pd.DataFrame(100 * np.cumprod(1 + returns, axis=0), DAYS, symbols).rename_axis("date")
    bars = close.reset_index().melt("date", var_name="asset", value_name="close")
    after = np.roll(returns, -1, axis=0)[:-1]
    model = known * after + np.sqrt(1 - known**2) * 0.014 * rng.normal(size=after.shape)
    test = pd.DataFrame(model, DAYS[:-1], symbols).rename_axis("date").reset_index()
    test = test.melt("date", var_name="asset", value_name="model")
    following = dict(pairwise(DAYS))
    test = test.assign(exit=test["date"].map(following), label=(after.T.ravel() > 0).astype(float), base_rate=0.5)
    return test, bars.assign(open=bars["close"])


def test_each_day_has_scipy_s_correlations_with_the_return_from_the_label_s_entry_to_its_exit() -> None:
    test, bars = market(0.3)
    test["model"] = test["model"].round(2)  # ties
    found = cross_section.daily_ic(test, bars, "direction")
    assert found["model"].unique().tolist() == ["model"]  # the base rate tells no two symbols apart
    close = bars.pivot(index="date", columns="asset", values="close")
    for row in found.iloc[::60].to_dict("records"):
        day = test[test["date"] == row["date"]].set_index("asset")
        came = (close.loc[day["exit"].iloc[0]] / close.loc[row["date"]] - 1)[day.index]
        assert row["symbols"] == 20
        assert row["ic"] == pytest.approx(stats.pearsonr(day["model"], came).statistic)
        assert row["rank_ic"] == pytest.approx(stats.spearmanr(day["model"], came).statistic)


@pytest.mark.parametrize("task", ["volatility", "surprise", "regression"])
def test_where_the_label_says_how_much_it_is_the_outcome(task: Task) -> None:
    test, bars = market(0.3)
    np.testing.assert_array_equal(cross_section.outcomes(test, bars, task), test["label"])


def test_knowledge_is_found_and_none_is_not() -> None:
    for known, above in ((0.2, True), (0.0, False)):
        test, bars = market(known)
        told = cross_section.summary(cross_section.daily_ic(test, bars, "direction"), test, 1, CONFIG)
        assert (told["models"]["model"]["rank_ic"]["low"] > 0) is above
        assert told["models"]["model"]["ic"]["low"] < known < told["models"]["model"]["ic"]["high"]
        assert told["days"] == 299


def test_days_are_the_observations_not_rows() -> None:
    """Every symbol five times over: correlations and intervals stay as they were."""
    test, bars = market(0.1)
    copies = [frame.assign(asset=frame["asset"] + str(n)) for n in range(5) for frame in (test,)]
    of_copies = [frame.assign(asset=frame["asset"] + str(n)) for n in range(5) for frame in (bars,)]
    once = cross_section.summary(cross_section.daily_ic(test, bars, "direction"), test, 1, CONFIG)
    often = pd.concat(copies)
    again = cross_section.summary(cross_section.daily_ic(often, pd.concat(of_copies), "direction"), often, 1, CONFIG)
    for kind in CORRELATIONS:
        assert again["models"]["model"][kind] == pytest.approx(once["models"]["model"][kind], abs=1e-9)


def test_fewer_than_ten_symbols_have_no_cross_section_and_say_so() -> None:
    test, bars = market(0.3, SYMBOLS[:9])
    ics = cross_section.daily_ic(test, bars, "direction")
    told = cross_section.summary(ics, test, 1, CONFIG)
    assert ics.empty
    assert list(ics) == list(cross_section.COLUMNS)
    assert told["none"] == "0 of 299 test days have 10 symbols or more"
    experiment = {"scores": {"confidence": 0.95}, "cross_section": told}
    assert cross_section_words(experiment) == [f"cross-section: none, 9 to 9 symbols a day: {told['none']}"]
    assert cross_section_table(experiment) == []
    assert not cross_section.decile_weights(test, "direction").to_numpy().any()


def test_one_symbol_has_nothing_extra() -> None:
    test, bars = market(0.3, SYMBOLS[:1])
    assert cross_section.summary(cross_section.daily_ic(test, bars, "direction"), test, 1, CONFIG) == {}
    assert cross_section_words({"scores": {"confidence": 0.95}}) == []


def test_a_day_that_lacks_symbols_is_left_out_and_counted() -> None:
    test, bars = market(0.3)
    few = test[(test["date"] != DAYS[5]) | test["asset"].isin(SYMBOLS[:9])]
    ics = cross_section.daily_ic(few, bars, "direction")
    assert DAYS[5] not in set(ics["date"])
    told = cross_section.summary(ics, few, 1, CONFIG)
    assert (told["days"], told["days_left_out"], told["symbols"]["fewest"]) == (298, 1, 9)


def second_test(
    known: float, symbols: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[pd.DataFrame, dict]:
    """Unseen symbols of which the model knows this much, beside others of which it knows nothing; evaluate's answer."""
    (trained, bars), (unseen, of_unseen) = market(0.0), market(known, symbols)
    unseen, of_unseen = (own.assign(asset="U" + own["asset"]) for own in (unseen, of_unseen))
    both = pd.concat([trained.assign(split="test"), unseen.assign(split="unseen")], ignore_index=True)
    both["model"] = 1 / (1 + np.exp(-both["model"]))
    both = both.assign(**{f"calibrated_{method}": both["model"] for method in METHODS})
    params = load_params(evaluate.Params).model_copy(update={"task": "direction", "horizon": 1, "evaluate": CONFIG})
    with monkeypatch.context() as inside:
        inside.chdir(folder)
        told = evaluate.second_test(both, pd.concat([bars, of_unseen]), params)
    return both[both["split"] == "unseen"], told


def test_symbols_never_seen_are_told_apart_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unseen, told = second_test(0.3, SYMBOLS[:12], tmp_path, monkeypatch)
    found = told["cross_section"]["models"]["model"]
    assert told["cross_section"]["symbols"] == {"fewest": 12, "median": 12, "most": 12}
    _, bars = market(0.3, SYMBOLS[:12])
    alone = cross_section.daily_ic(unseen, bars.assign(asset="U" + bars["asset"]), "direction")
    assert found["rank_ic"]["value"] == pytest.approx(alone["rank_ic"].mean())
    assert found["rank_ic"]["low"] > 0.1  # not of the others, of whom nothing is known
    experiment = {"axes": {"task": "direction"}, "scores": {"confidence": 0.95}, "unseen": told}
    said = unseen_words(experiment)[1]
    assert said.startswith(f"cross-section of symbols never seen, 12 to 12 symbols a day, 299 days: rank IC "
                           f"{found['rank_ic']['value']:+.4f} (")  # fmt: skip
    (shown,) = cross_section_table(experiment, second=True)
    assert shown["IC"] == f"{found['ic']['value']:+.4f}"
    assert cross_section_table(experiment) == cross_section_words(experiment) == []


def test_nine_symbols_never_seen_have_no_cross_section_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, told = second_test(0.3, SYMBOLS[:9], tmp_path, monkeypatch)
    assert told["cross_section"]["none"] == "0 of 299 test days have 10 symbols or more"
    assert "models" not in told["cross_section"]
    assert "cross_section" not in second_test(0.3, SYMBOLS[:1], tmp_path, monkeypatch)[1]


def test_the_correlations_of_both_tests_reach_the_ledger_and_rows_without_them_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, unseen = second_test(0.3, SYMBOLS, tmp_path, monkeypatch)
    test, bars = market(0.1)
    first = cross_section.summary(cross_section.daily_ic(test, bars, "direction"), test, 1, CONFIG)
    rows = [
        test_scaling.row("10K", 0, "a"),
        test_scaling.row("10K", 1, "b", more={"cross_section": first, "unseen": unseen}),
    ]
    write_ledger(tmp_path / "ledger.csv", add_rows(open_ledger(tmp_path / "ledger.csv").rows, rows))
    ledger = open_ledger(tmp_path / "ledger.csv")
    assert ledger.faults == ()
    old, new = ledger.rows.to_dict("records")
    for prefix, of in (("test", first), ("unseen", unseen["cross_section"])):
        for kind in CORRELATIONS:
            score = of["models"]["model"][kind]
            told = [new[f"{prefix}_{kind}{end}"] for end in ("", "_low", "_high")]
            assert told == pytest.approx([score["value"], score["low"], score["high"]])
            assert pd.isna(old[f"{prefix}_{kind}"])


def test_each_year_has_the_mean_of_its_own_days() -> None:
    test, bars = market(0.3)
    ics = cross_section.daily_ic(test, bars, "direction")
    years = cross_section.by_year(ics, 1, CONFIG)
    assert years["year"].tolist() == [2015, 2016]
    first = ics.loc[ics["date"].dt.year == 2015, "rank_ic"]
    assert years["rank_ic"][0] == pytest.approx(first.mean())
    assert years["rank_ic_low"][0] < years["rank_ic"][0] < years["rank_ic_high"][0]


def test_a_tenth_is_long_a_tenth_short_and_equal_predictions_get_equal_parts() -> None:
    day = pd.DataFrame({"date": DAYS[0], "asset": SYMBOLS, "model": np.arange(20.0)})
    weights = cross_section.decile_weights(day, "regression").loc[DAYS[0]]
    assert weights[weights > 0].to_dict() == {"S18": 0.5, "S19": 0.5}
    assert weights[weights < 0].to_dict() == {"S00": -0.5, "S01": -0.5}
    assert cross_section.decile_weights(day, "volatility").loc[DAYS[0]].equals(-weights)  # the calm ones are long
    tied = cross_section.decile_weights(day.assign(model=day["model"].clip(upper=16)), "regression").loc[DAYS[0]]
    assert tied[["S16", "S17", "S18", "S19"]].tolist() == [0.25] * 4
    assert not cross_section.decile_weights(day.assign(model=0.5), "regression").to_numpy().any()


def test_deciles_of_a_perfect_prediction_earn_what_the_extremes_do_less_costs() -> None:
    _, bars = market(1.0)
    earned = trading.next_open_returns(bars, pd.DatetimeIndex(DAYS[:-1]))
    foreseen = earned.reset_index(names="date").melt("date", var_name="asset", value_name="model")
    account = trading.trade(trading.overlapping(cross_section.decile_weights(foreseen, "regression"), 1), earned, 0.0)
    ordered = np.sort(earned.to_numpy(), axis=1)
    np.testing.assert_allclose(account["return"], ordered[:, -2:].mean(axis=1) - ordered[:, :2].mean(axis=1))
    np.testing.assert_allclose(account["position"], 0, atol=1e-12)
    assert account["turnover"].iloc[0] == pytest.approx(2)  # 1 on each side
    over_five = trading.overlapping(cross_section.decile_weights(foreseen, "regression"), 5)
    assert over_five.abs().sum(axis=1).max() <= 2 + 1e-12
    assert over_five.diff().abs().sum(axis=1).iloc[5:].max() <= 4 / 5 + 1e-12  # a fifth of the book a day
