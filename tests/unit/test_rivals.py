"""Is the model better than its rivals? On paired days, over seeds, adjusted; one seed is not judged."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.evaluation.day_file import write_day_file
from finscale.scaling.daily import daily_path
from finscale.scaling.results import load_experiment_results
from finscale.scaling.rivals import differences_from_rivals, rival_rows
from tests.planted_days import write_days

PILOT = "bundled-Aa-daily-a20-threshold_1pct-h5"


@pytest.fixture(scope="module")
def pilot() -> pd.DataFrame:
    results = load_experiment_results(Path("results/ledger.csv"))
    return results[results["experiment"] == PILOT].reset_index(drop=True)


def test_rivals_are_compared_on_paired_days_and_adjusted_for_their_number(pilot: pd.DataFrame, tmp_path: Path) -> None:
    rows = pilot[pilot["budget"] == "10K"].assign(volatility_loss=lambda p: p["base_rate_loss"] * 0.95)
    rows = rows.assign(test_loss=rows["base_rate_loss"] * [0.900, 0.901, 0.899])
    write_days(tmp_path, rows)
    found = {one.rival: one for one in differences_from_rivals(rows, tmp_path)}
    assert set(found) == {"the base rate", "GARCH", "CatBoost"}
    assert found["GARCH"].difference == pytest.approx(np.log(0.9 / 0.95), abs=1e-3)
    assert found["GARCH"].low < found["GARCH"].difference < found["GARCH"].high < 0
    assert max(one.adjusted_p for one in found.values()) >= max(one.p_value for one in found.values())
    words = {row["rival"]: row["the model is"] for row in rival_rows(list(found.values()))}
    assert words["GARCH"] == "better"
    assert differences_from_rivals(rows, tmp_path / "nowhere") == []


@pytest.mark.parametrize(("task", "garch"), [("volatility", "garch"), ("surprise", "volatility")])
def test_a_forecast_of_volatility_is_judged_against_har_and_garch(
    pilot: pd.DataFrame, tmp_path: Path, task: str, garch: str
) -> None:
    """Each run has the baselines of its task alone; a rival that it lacks is left out."""
    rows = pilot[pilot["budget"] == "10K"].assign(task=task)
    rows = rows.assign(test_loss=rows["base_rate_loss"] * [0.900, 0.901, 0.899])
    write_days(tmp_path, rows)
    for key in rows["key"]:
        path = daily_path(tmp_path, key)
        days = pd.read_parquet(path).drop(columns=["volatility", "catboost"], errors="ignore")
        write_day_file(path, days.assign(**{"har": 0.85 * days["base_rate"], garch: 0.95 * days["base_rate"]}))
    words = {row["rival"]: row["the model is"] for row in rival_rows(differences_from_rivals(rows, tmp_path))}
    assert words == {"the base rate": "better", "GARCH": "better", "HAR-RV": "worse"}


def test_one_seed_against_a_rival_is_not_judged_and_takes_no_share_of_the_error(
    pilot: pd.DataFrame, tmp_path: Path
) -> None:
    """Its days say "better" beyond doubt; how much another seed would lose is not known."""
    small = pilot[pilot["budget"] == "10K"]
    lone = pilot[pilot["budget"] == "30K"].iloc[[0]]
    rows = pd.concat([small, lone]).assign(volatility_loss=lambda p: p["base_rate_loss"] * 0.95)
    rows = rows.assign(test_loss=rows["base_rate_loss"] * [0.900, 0.901, 0.899, 0.9])
    write_days(tmp_path, rows)
    together = differences_from_rivals(rows, tmp_path)
    of_one = [one for one in together if one.seeds == 1]
    assert len(of_one) == 3
    assert all(one.high < 0 and one.established == "" and one.covers == "days" for one in of_one[:2])
    alone = differences_from_rivals(rows.iloc[:3], tmp_path)
    assert [one.adjusted_p for one in together if one.judged] == [one.adjusted_p for one in alone]
    words = next(row for row in rival_rows(together) if row["seeds"] == 1)
    assert (words["the model is"], words["p (Holm)"]) == ("one seed: not judged", "-")
    assert "over days alone" in str(words["loss against it"])
