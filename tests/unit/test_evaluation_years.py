"""Year by year, and several folds as one result."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from finscale.evaluation.pooling import describe_folds, pool_runs
from finscale.evaluation.scoring import spread
from finscale.evaluation.years import as_records, by_year

DATES = pd.bdate_range("2016-01-01", "2017-12-29")
LABEL = np.random.default_rng(0).integers(0, 2, len(DATES)).astype(float)
FIRST = (DATES.year == 2016).astype(float)
# Right in 2016, wrong in 2017; the base rate that was known differs from year to year.
TEST = pd.DataFrame(
    {"date": DATES, "label": LABEL, "model": np.where(FIRST, 0.2 + 0.6 * LABEL, 0.8 - 0.6 * LABEL),
     "base_rate": np.where(FIRST, 0.5, 0.4), "fold": DATES.year.astype(str)}
)  # fmt: skip


def test_each_year_is_judged_on_its_own_days_against_its_own_base_rate() -> None:
    table = by_year(TEST, True, 5, 200, 0.95)
    assert table["year"].tolist() == [2016, 2017]
    assert table["rows"].sum() == table["days"].sum() == len(DATES)
    assert table["base_rate"].tolist() == pytest.approx([0.5, 0.4])
    for year in table.to_dict("records"):
        own = TEST[TEST["date"].dt.year == year["year"]]
        loss, base = log_loss(own["label"], own["model"]), log_loss(own["label"], own["base_rate"])
        assert year["loss"] == pytest.approx(loss)
        assert year["skill"] == pytest.approx(1 - loss / base)
        assert year["auc"] == roc_auc_score(own["label"], own["model"])
        assert year["loss_low"] <= year["loss"] <= year["loss_high"]
    assert table["skill_low"][0] > 0 > table["skill_high"][1]


def test_a_year_of_one_class_has_no_auc_and_says_so_in_json() -> None:
    calm = TEST.assign(label=TEST["label"].where(TEST["date"].dt.year == 2016, 0.0))
    records = as_records(by_year(calm, True, 5, 100, 0.95))
    assert records[1]["auc"] is None
    assert records[0]["auc"] > 0.5
    json.dumps(records, allow_nan=False)
    assert "auc" not in as_records(by_year(TEST, False, 5, 100, 0.95))[0]


def test_constants_that_differ_from_fold_to_fold_are_a_collapsed_model() -> None:
    constant = TEST.assign(model=np.where(FIRST, 0.3, 0.5))
    assert spread(constant, True)["collapsed"]
    assert not spread(TEST, True)["collapsed"]
    assert spread(TEST.drop(columns="fold"), True)["prediction_std"] == TEST["model"].std(ddof=0)


RUN = {"params_total": 10_000, "best_epoch": 2, "epochs_run": 5, "train_windows": 2500, "steps": 10,
       "windows_seen": 100, "tokens_seen": 1000, "train_flops": 7, "validation_loss": 0.5}  # fmt: skip


def test_costs_of_folds_add_up_and_their_losses_are_averaged() -> None:
    other = RUN | {"best_epoch": 5, "steps": 30, "train_flops": 9, "validation_loss": 0.7, "windows_seen": 300}
    pooled = pool_runs([RUN, other])
    assert (pooled["steps"], pooled["train_flops"], pooled["windows_seen"]) == (40, 16, 400)
    assert pooled["validation_loss"] == pytest.approx(0.6)
    assert (pooled["params_total"], pooled["best_epoch"]) == (10_000, 4)
    assert pool_runs([RUN]) is RUN


def test_each_fold_is_described_by_its_own_test_days() -> None:
    told = describe_folds(TEST, {"2016": RUN, "2017": RUN}, True)
    assert [fold["fold"] for fold in told] == ["2016", "2017"]
    assert told[0]["test_skill"] > 0 > told[1]["test_skill"]
    assert sum(fold["test_rows"] for fold in told) == len(TEST)
