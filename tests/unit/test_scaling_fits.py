"""From the ledger and the losses per day to a verdict: what is joined, what is refused, what is said without days."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.evaluation.day_file import write_day_file
from finscale.pages.experiments import generate_experiment_summary_report
from finscale.pages.page_tables import verdict
from finscale.pages.run_tables import scaling_sentence
from finscale.scaling.band import seeds_band
from finscale.scaling.daily import daily_path, read_daily
from finscale.scaling.data_laws import data_laws, law_words
from finscale.scaling.fits import fits_of, paired_runs
from finscale.scaling.report import generate_scaling_report
from finscale.scaling.results import export_results_csv, load_experiment_results, name_experiments
from finscale.scaling.settings import read_settings
from stages.scaling import headline
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


def test_the_band_is_over_the_same_as_the_exponent_and_holds_the_level_that_days_move(
    pilot: pd.DataFrame, tmp_path: Path
) -> None:
    """All runs share the luck of a day: no scatter of seeds shows it, and it moves the whole line up or down."""
    rows = with_losses(pilot, 0.05)
    write_days(tmp_path, rows)
    fit = fits_of(rows, tmp_path)[PILOT]
    band, alone = fit.band(), seeds_band(fit.law, fit.sizes, fit.band().x)
    assert (band.covers, alone.covers) == ("seeds and days", "seeds")
    days = read_daily(daily_path(tmp_path, rows["key"].iloc[0]))["model"]
    expected = days.std() / days.mean() / np.sqrt(len(days))  # standard error of the log level, of independent days
    middle = len(band.x) // 2
    half = np.log(band.high / band.low)[middle] / 2
    assert half == pytest.approx(1.96 * expected, rel=0.25)
    assert half > 5 * np.log(alone.high / alone.low)[middle] / 2
    assert ((band.low < fit.law(band.x)) & (fit.law(band.x) < band.high)).all()
    report = generate_scaling_report(rows, PILOT, fit=fit)
    assert report["band"]["low"] == pytest.approx(band.low)
    assert report["band"]["covers"] == "seeds and days"
    with pytest.raises(ValueError, match="over seeds and days: days_band"):
        seeds_band(fit.shown(), fit.sizes, band.x)


@pytest.mark.parametrize(("worse", "held"), [(1.0, True), (1.05, False)])
def test_the_largest_size_is_foretold_beside_its_noise(
    pilot: pd.DataFrame, tmp_path: Path, worse: float, held: bool
) -> None:
    rows = with_losses(pilot, 0.05)
    largest = rows["params_total"] == rows["params_total"].max()
    rows = rows.assign(test_loss=rows["test_loss"].where(~largest, worse * rows["test_loss"]))
    write_days(tmp_path, rows)
    report = generate_scaling_report(rows, PILOT, fit=fits_of(rows, tmp_path)[PILOT])
    told = report["forecast"]
    assert told["error"] == pytest.approx(1 / worse - 1, abs=0.01)
    assert (told["low"] <= 0 <= told["high"]) is held
    words = "no more than noise" if held else "over seeds and days: more than noise"
    assert f"foretells the largest {told['error']:+.2%} off" in report["interpretation"]
    assert words in report["interpretation"]
    [(value, name)] = [fact for fact in verdict(report)["facts"] if "largest size, foretold" in fact[1]]
    assert value == f"{told['error']:+.2%}"
    assert "95 % over seeds and days" in name
    metrics = headline(rows, report) | {"settings": "", "set_aside": []}
    assert f"foretells the largest {told['error']:+.2%} off" in scaling_sentence(metrics)


def test_a_run_without_losses_per_day_leaves_the_curve_unjudged(pilot: pd.DataFrame, tmp_path: Path) -> None:
    rows = with_losses(pilot, 0.05)
    write_days(tmp_path, rows.iloc[1:])
    fit = fits_of(rows, tmp_path)[PILOT]
    report = generate_scaling_report(rows, PILOT, fit=fit)
    assert (fit.exponent, report["verdict"], report["fit_results"]["covers"]) == (None, "not judged", "seeds")
    assert report["fit_results"]["smallest_detectable_exponent"] is None
    assert (report["forecast"], report["band"]["covers"]) == (None, "seeds")
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


def test_a_walk_forward_ladder_has_an_exponent_per_year_and_a_mean(pilot: pd.DataFrame, tmp_path: Path) -> None:
    rows = with_losses(pilot, 0.02).assign(scheme="rolling-10+1+1+1y", test_rows=1500)
    write_days(tmp_path, rows, day_slope=0.002, start="2013-01-02")
    fit = fits_of(rows, tmp_path)[PILOT]
    report = generate_scaling_report(rows, PILOT, fit=fit)
    years = report["fit_results"]["years"]
    assert [one["year"] for one in years["by_year"]] == list(range(2013, 2019))
    assert years["low"] < 0.02 < years["high"]
    assert "6 test years taken as a sample of many" in report["interpretation"]


def test_a_test_year_of_two_days_costs_the_mean_over_years_and_nothing_else(
    pilot: pd.DataFrame, tmp_path: Path
) -> None:
    rows = with_losses(pilot, 0.05).assign(scheme="rolling-10+1+1+1y", test_rows=800)
    write_days(tmp_path, rows, start="2013-12-30")
    fit = fits_of(rows, tmp_path)[PILOT]
    report = generate_scaling_report(rows, PILOT, fit=fit)
    assert (report["verdict"], report["fit_results"]["years"]) == ("scaling", None)
    assert "no mean over test years: an interval over test days needs at least 3 days" in report["interpretation"]


def test_a_curve_of_two_test_days_is_not_judged_and_stops_no_other(pilot: pd.DataFrame, tmp_path: Path) -> None:
    good, short = with_losses(pilot, 0.05, "good"), with_losses(pilot, 0.05, "short").assign(test_rows=2)
    for rows in (good, short):
        write_days(tmp_path, rows)
    both = pd.concat([good, short])
    fits = fits_of(both, tmp_path)
    assert fits["good"].exponent is not None
    assert "at least 3 days, found 2" in generate_scaling_report(both, "short", fit=fits["short"])["verdict_in_words"]


def test_a_curve_whose_days_cannot_be_joined_says_so_and_the_others_are_judged(
    pilot: pd.DataFrame, tmp_path: Path
) -> None:
    good, bad = with_losses(pilot, 0.05, "good"), with_losses(pilot, 0.05, "badly")
    for rows in (good, bad):
        write_days(tmp_path, rows)
    path = daily_path(tmp_path, bad["key"].iloc[0])
    losses = pd.read_parquet(path)
    losses.assign(date=losses["date"] + pd.Timedelta(days=1)).to_parquet(path)
    both = pd.concat([good, bad])
    fits = fits_of(both, tmp_path)
    assert generate_scaling_report(both, "good", fit=fits["good"])["verdict"] == "scaling"
    words = generate_scaling_report(both, "badly", fit=fits["badly"])["verdict_in_words"]
    assert "not judged" in words
    assert "were tested on different days" in words


def test_windows_in_proportion_to_parameters_tell_no_law_of_both(pilot: pd.DataFrame) -> None:
    columns = ["experiment", "market", "variant", "differs", "params", "val_loss", "accuracy"]
    plain, parts, known = {"dataset.history": 16}, [], {}
    for years, (_, rows) in zip((4, 8, 12, 14, 16), pilot.groupby("params_total"), strict=True):
        known[f"h{years}"] = plain | {"dataset.history": years}
        windows = 2 * rows["params_total"]
        law = 0.5 + 2.0 * rows["params_total"] ** -0.35 + 3.0 * windows**-0.4
        parts.append(rows.assign(test_loss=law, train_windows=windows, windows_seen=windows, settings=f"h{years}"))
    (told,) = data_laws(pd.concat(parts).drop(columns=columns), known | {"plain": plain})
    assert told["law"]["status"] == "unidentified"
    assert "cannot tell its unknowns, so it is no finding" in law_words(told)
    assert "law is unidentified" in told["optimum"]["refused"]


def test_two_markets_of_one_ledger_are_two_curves_each_with_its_own_exponent(
    pilot: pd.DataFrame, tmp_path: Path
) -> None:
    """The same axes and settings on two folders of prices: one market scales, in the other nothing does."""
    markets = {"aaaaaa1": 0.05, "bbbbbb2": 0.0}
    parts = [
        with_losses(pilot, alpha, data, seed).assign(source="directory", data=f"{data}.dir")
        for seed, (data, alpha) in enumerate(markets.items())
    ]
    rows = name_experiments(pd.concat(parts), read_settings(Path("results/settings.json")))
    write_days(tmp_path, rows)
    fits = fits_of(rows, tmp_path)
    assert [name.split("-data")[1][:6] for name in fits] == ["aaaaaa", "bbbbbb"]
    alphas = [one.exponent.alpha for one in fits.values() if one.exponent]
    assert [one.value for one in alphas] == pytest.approx(list(markets.values()), abs=0.002)
    words = [generate_scaling_report(rows, name, fit=fit)["verdict"] for name, fit in fits.items()]
    assert words == ["scaling", "flat"]


def test_losses_that_are_all_equal_are_flat_with_an_exponent_of_exactly_zero(
    pilot: pd.DataFrame, tmp_path: Path
) -> None:
    rows = pilot.assign(test_loss=0.6)
    for key in rows["key"]:
        days = pd.DataFrame({"date": pd.bdate_range("2016-01-04", periods=749), "rows": 1, "model": 0.6})
        write_day_file(daily_path(tmp_path, key), days.assign(model_raw=0.6, base_rate=0.6))
    fit = fits_of(rows, tmp_path)[PILOT]
    report = generate_scaling_report(rows, PILOT, fit=fit)
    assert report["verdict"] == "flat"
    assert [report["fit_results"][name] for name in ("alpha", "alpha_low", "alpha_high")] == [0, 0, 0]
    assert report["forecast"]["error"] == 0
    assert report["band"]["low"] == pytest.approx(report["band"]["high"])


def test_curves_that_differ_in_windows_alone_are_one_law_of_both(pilot: pd.DataFrame) -> None:
    """Three lengths of history as a setting: E, alpha and beta come back, and the corner is foretold."""
    columns = ["experiment", "market", "variant", "differs", "params", "val_loss", "accuracy"]
    plain, parts, known = {"dataset.history": 16, "train.epochs": 30}, [], {}
    for years, windows in ((4, 2_000), (8, 8_000), (16, 32_000)):
        law = 0.5 + 2.0 * pilot["params_total"] ** -0.35 + 3.0 * windows**-0.4
        known[f"h{years}"] = plain | {"dataset.history": years}
        parts.append(
            pilot.assign(
                test_loss=law * np.exp(np.random.default_rng(years).normal(scale=1e-4, size=len(pilot))),
                train_windows=windows, windows_seen=10 * windows, settings=f"h{years}",
                key=[f"{years}-{key}" for key in pilot["key"]],
            )
        )  # fmt: skip
    (told,) = data_laws(pd.concat(parts).drop(columns=columns), known | {"plain": plain})
    assert told["windows"] == [2_000, 8_000, 32_000]
    assert told["law"]["status"] == "converged"
    assert told["law"]["irreducible"] == pytest.approx(0.5, rel=0.02)
    assert told["law"]["exponents"] == pytest.approx((0.35, 0.4), rel=0.1)
    assert abs(told["held_out"]["error"]) < 0.002
    assert "exponents 0.3" in law_words(told)
    (low, high), measured = told["held_out"]["interval"], told["held_out"]["measured"]
    assert len(measured) == 3
    assert 0.998 * min(measured) < low < np.mean(measured) < high < 1.002 * max(measured)
    assert f"held out: {np.mean(measured):.3f}" in law_words(told)
    assert data_laws(parts[0].drop(columns=columns), known | {"plain": plain}) == []


def test_runs_cut_off_within_their_first_pass_are_one_law_of_the_windows_they_saw(pilot: pd.DataFrame) -> None:
    columns = ["experiment", "market", "variant", "differs", "params", "val_loss", "accuracy"]
    plain, parts, known = {"train.max_windows": None, "train.epochs": 1}, [], {}
    for seen in (2_000, 8_000, 32_000):
        law = 0.5 + 2.0 * pilot["params_total"] ** -0.35 + 3.0 * seen**-0.4
        known[f"w{seen}"] = plain | {"train.max_windows": seen}
        keys = [f"{seen}-{key}" for key in pilot["key"]]
        told = {"train_windows": 1_000_000, "windows_seen": seen, "settings": f"w{seen}", "key": keys}
        parts.append(
            pilot.assign(test_loss=law * np.exp(np.random.default_rng(seen).normal(0, 1e-4, len(pilot))), **told)
        )
    (found,) = data_laws(pd.concat(parts).drop(columns=columns), known | {"plain": plain})
    assert found["windows"] == [2_000, 8_000, 32_000]
    assert found["law"]["exponents"] == pytest.approx((0.35, 0.4), rel=0.1)
