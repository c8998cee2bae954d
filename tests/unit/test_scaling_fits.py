"""From the ledger and the losses per day to a verdict: what is joined, what is refused, what is said without days."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.scaling.daily import daily_path
from finscale.scaling.fits import fits_of, paired_runs
from finscale.scaling.report import generate_experiment_summary_report, generate_scaling_report
from finscale.scaling.results import export_results_csv, load_experiment_results
from tests.planted_days import write_days

PILOT = "bundled-Aa-daily-a20-threshold_1pct-h5"


@pytest.fixture(scope="module")
def pilot() -> pd.DataFrame:
    results = load_experiment_results(Path("results/ledger.csv"))
    return results[results["experiment"] == PILOT].reset_index(drop=True)


def with_losses(rows: pd.DataFrame, alpha: float, experiment: str = PILOT, seed: int = 0) -> pd.DataFrame:
    noise = np.random.default_rng(seed).normal(scale=0.003, size=len(rows))
    losses = 0.9 * rows["params_total"] ** -alpha * np.exp(noise)
    keys = [f"{experiment[:4]}{seed}{place:03d}" for place in range(len(rows))]
    return rows.assign(test_loss=losses, experiment=experiment, key=keys)


def test_with_losses_per_day_a_planted_law_is_scaling_and_both_intervals_are_reported(
    pilot: pd.DataFrame, tmp_path: Path
) -> None:
    rows = with_losses(pilot, 0.05)
    write_days(tmp_path, rows, day_slope=0.004)
    fit = fits_of(rows, tmp_path)[PILOT]
    report = generate_scaling_report(rows, PILOT, fit=fit)
    told = report["fit_results"]
    assert (report["verdict"], told["covers"]) == ("scaling", "seeds and days")
    assert told["alpha_low"] < told["alpha_low_seeds"] < told["alpha"] < told["alpha_high_seeds"] < told["alpha_high"]
    assert told["standard_error_parts"]["days"] == pytest.approx(0.004, rel=0.35)
    assert set(told["alpha_by_seed"]) == {"0", "1", "2"}
    assert told["smallest_detectable_exponent"] > 2 * told["standard_error"]
    table = export_results_csv(rows, {PILOT: fit.shown()})
    assert table["alpha_low"].unique() == pytest.approx(told["alpha_low"])
    assert table["alpha_low_seeds"].unique() == pytest.approx(told["alpha_low_seeds"])
    assert set(table["alpha_covers"]) == {"seeds and days"}


def test_days_that_move_the_exponent_take_away_a_verdict_that_seeds_alone_would_give(
    pilot: pd.DataFrame, tmp_path: Path
) -> None:
    rows = with_losses(pilot, -0.004)
    write_days(tmp_path, rows, day_slope=0.004)
    fit = fits_of(rows, tmp_path)[PILOT]
    assert fit.law.alpha_high < 0  # of seeds alone: inverse
    assert generate_scaling_report(rows, PILOT, fit=fit)["verdict"] == "undecidable"


def test_a_run_without_losses_per_day_leaves_the_curve_unjudged(pilot: pd.DataFrame, tmp_path: Path) -> None:
    rows = with_losses(pilot, 0.05)
    write_days(tmp_path, rows.iloc[1:])
    fit = fits_of(rows, tmp_path)[PILOT]
    report = generate_scaling_report(rows, PILOT, fit=fit)
    assert (fit.exponent, report["verdict"], report["fit_results"]["covers"]) == (None, "not judged", "seeds")
    assert report["fit_results"]["smallest_detectable_exponent"] is None
    assert set(export_results_csv(rows, {PILOT: fit.shown()})["alpha_covers"]) == {"seeds"}
    assert ", seeds only)" in generate_experiment_summary_report(rows, [report])


def test_other_days_rows_or_labels_are_refused_with_both_keys(pilot: pd.DataFrame, tmp_path: Path) -> None:
    rows = with_losses(pilot, 0.0)
    write_days(tmp_path, rows)
    first, last = rows["key"].iloc[0], rows["key"].iloc[-1]
    path, sizes = daily_path(tmp_path, last), rows["params"].to_numpy()
    whole = pd.read_parquet(path)
    changes = {
        "different days": whole.assign(date=whole["date"] + pd.Timedelta(days=1)),
        "different labels": whole.assign(base_rate=whole["base_rate"] * 1.1),
        "different rows": whole.assign(rows=whole["rows"].where(whole.index != 3, 2)),
    }
    for said, changed in changes.items():
        changed.to_parquet(path)
        loss, count = np.average(changed["model"], weights=changed["rows"]), changed["rows"].sum()
        here = rows["key"] == last
        told = rows.assign(
            test_loss=rows["test_loss"].where(~here, loss), test_rows=rows["test_rows"].where(~here, count)
        )
        with pytest.raises(InputError, match=rf"runs {first} and {last} were .*{said}"):
            paired_runs(told, tmp_path, sizes)


def test_curves_are_judged_together(pilot: pd.DataFrame, tmp_path: Path) -> None:
    curves = [with_losses(pilot, 0.0, f"{place}-curve", place) for place in range(3)]
    for rows in curves:
        write_days(tmp_path, rows)
    fits = fits_of(pd.concat(curves), tmp_path)
    alone = sorted(one.exponent.alpha.p_value for one in fits.values() if one.exponent)
    together = sorted(one.adjusted_p for one in fits.values() if one.adjusted_p is not None)
    assert together[0] == pytest.approx(min(1.0, 3 * alone[0]))
    assert together[1] == pytest.approx(max(together[0], min(1.0, 2 * alone[1])))


def test_a_walk_forward_ladder_has_an_exponent_per_year_and_a_mean(pilot: pd.DataFrame, tmp_path: Path) -> None:
    rows = with_losses(pilot, 0.02).assign(scheme="rolling-10+1+1+1y", test_rows=1500)
    write_days(tmp_path, rows, day_slope=0.002, start="2013-01-02")
    fit = fits_of(rows, tmp_path)[PILOT]
    report = generate_scaling_report(rows, PILOT, fit=fit)
    years = report["fit_results"]["years"]
    assert [one["year"] for one in years["by_year"]] == list(range(2013, 2019))
    assert years["low"] < 0.02 < years["high"]
    assert "6 test years taken as a sample of many" in report["interpretation"]
