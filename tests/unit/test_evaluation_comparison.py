"""Many models compared on the same days: the better one is found, chance is not."""

import numpy as np
import pandas as pd
import pytest

from finscale.evaluation import comparison
from finscale.evaluation.baseline_names import names_of
from finscale.evaluation.metrics import loss_rows

DAYS = pd.bdate_range("2016-01-04", periods=500)


def losses(edge: float) -> pd.DataFrame:
    """Ten models that share most of a day's luck; the last is better by `edge`."""
    rng = np.random.default_rng(0)
    luck = rng.normal(0.7, 0.2, size=(500, 1))
    own = 0.02 * rng.normal(size=(500, 10))
    table = pd.DataFrame(luck + own, DAYS, [f"m{i}" for i in range(10)])
    return table.assign(m9=table["m9"] - edge)


def test_differences_are_paired_by_day() -> None:
    found = {(row["a"], row["b"]): row for row in comparison.paired_differences(losses(0.01), 5, 500, 0.95)}
    assert len(found) == 45
    assert found["m0", "m9"]["low"] > 0  # unpaired, luck of 0.2 a day would hide 0.01
    assert found["m0", "m9"]["value"] == pytest.approx(0.01, abs=0.004)
    assert sum(row["low"] > 0 or row["high"] < 0 for pair, row in found.items() if "m9" not in pair) <= 6


def test_the_confidence_set_holds_the_best_and_nothing_much_worse() -> None:
    found = comparison.model_confidence_set(losses(0.01), 5, 500, 0.1)
    assert [name for name, about in found.items() if about["in_set"]] == ["m9"]
    equal = comparison.model_confidence_set(losses(0.0), 5, 500, 0.1)
    assert sum(about["in_set"] for about in equal.values()) >= 8


def test_spa_finds_a_real_edge_and_allows_for_having_picked_the_best_of_many() -> None:
    real = comparison.superior_predictive_ability(losses(0.01), "m0", 5, 500)
    assert real["best"] == "m9"
    assert real["p_value"] < 0.01
    assert comparison.superior_predictive_ability(losses(0.0), "m0", 5, 500)["p_value"] > 0.05


def test_models_that_agree_on_every_day_are_no_error() -> None:
    table = losses(0.01)
    twins = table[["m9", "m0"]].assign(copy=table["m0"])
    found = comparison.model_confidence_set(twins, 5, 200, 0.1)
    assert found["copy"] == found["m0"]
    assert comparison.superior_predictive_ability(twins[["m0", "copy"]], "m0", 5, 200)["p_value"] == 1.0


def test_losses_of_several_assets_are_averaged_by_day() -> None:
    test = pd.DataFrame({"date": [DAYS[1], DAYS[0], DAYS[0]], "label": [0.0, 0.0, 0.0], "model": [3.0, 1.0, 2.0]})
    table = comparison.daily_losses(test, ["model"], binary=False)
    assert table["model"].tolist() == [2.5, 9.0]
    assert table.index.tolist() == [DAYS[0], DAYS[1]]


@pytest.mark.parametrize("binary", [True, False])
def test_the_ledger_s_daily_losses_give_the_run_s_loss_again(binary: bool) -> None:
    rng = np.random.default_rng(0)
    days = np.repeat(DAYS[:40], 3)[5:]  # three symbols, on the first day that is left one
    columns = ["label", "model", *(["calibrated_none"] if binary else []), *names_of(binary)]
    test = pd.DataFrame(rng.uniform(0.1, 0.9, (len(days), len(columns))), columns=columns).assign(date=days)
    table = comparison.losses_per_day(test, binary)
    assert list(table) == ["date", "rows", "model", "model_raw", *names_of(binary)]
    assert table["rows"].tolist() == [1, *[3] * 38]
    raw = test["calibrated_none" if binary else "model"]
    for name, predicted in [("model", test["model"]), ("model_raw", raw), ("catboost", test["catboost"])]:
        loss = loss_rows(test["label"].to_numpy(), predicted.to_numpy(), binary).mean()
        assert np.average(table[name], weights=table["rows"]) == pytest.approx(loss)
