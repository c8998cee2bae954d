"""trade: predictions + bars + ledger -> metrics/trade.json

Reads  data/processed/predictions.parquet, data/interim/bars.parquet
       metrics/experiment.json    the run's axes and block length
       results/ledger.csv         how many configurations were tried
       results/settings.json      what each of them had set
Writes metrics/trade.json   how many were tried; return, volatility, Sharpe ratios, drawdown and turnover after costs,
                            beside buy-and-hold; of ten symbols a day or more also a long-short portfolio of the
                            extreme deciles
       plots/equity.csv     per test day: return after costs, turnover and position; returns of the others
Why    secondary: a statistically good model may be worth nothing after costs, and the other way round. The best of many
       looks good by chance, so that tries are counted. Apart from `evaluate`, because the ledger grows with every run
       and must not change what a run measured.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import Horizon, Share, Source, Task, Timescale, load_params
from finscale.data.labels import horizon_on
from finscale.evaluation import cross_section, trading
from finscale.evaluation.bootstrap import horizon_sessions
from finscale.evaluation.config import TradeConfig
from finscale.scaling.ledger import configurations_tried, read_ledger
from finscale.scaling.settings import SettingsBlocks, read_settings, resolved, same_settings, settings_of
from finscale.storage import read_json, read_parquet, write_csv, write_json
from stages.paths import BARS, EQUITY_TABLE, EXPERIMENT, PREDICTIONS

LEDGER = Path("results/ledger.csv")
SETTINGS = Path("results/settings.json")
METRICS = Path("metrics/trade.json")


class Params(SettingsBlocks):
    source: Source
    symbols: Share
    timescale: Timescale
    task: Task
    horizon: Horizon
    evaluation: dict[str, Any]  # as it stands there, as the blocks are
    trade: TradeConfig


def tries(params: Params, axes: dict[str, Any], precision: str) -> dict[str, int]:
    """precision: what this run was trained in."""
    ledger = read_ledger(LEDGER)
    same = same_settings(ledger, read_settings(SETTINGS), resolved(settings_of(params.model_dump()), precision))
    return configurations_tried(ledger, axes, same)


def accounts(test: pd.DataFrame, bars: pd.DataFrame, params: Params) -> dict[str, pd.DataFrame]:
    """Daily accounts of the model's positions, of its deciles where there are any, and of buy-and-hold."""
    signal, cost_bps = trading.signals(test, params.task, params.trade.rule), params.trade.cost_bps
    earned = trading.next_open_returns(bars[bars["asset"].isin(signal.columns)], pd.DatetimeIndex(signal.index))
    horizon = horizon_sessions(horizon_on(params.timescale, params.horizon))
    found = {
        "model": trading.trade(trading.positions(signal, horizon), earned, cost_bps),
        "buy_and_hold": trading.buy_and_hold(earned, cost_bps),
    }
    if test.groupby("date").size().max() >= cross_section.MIN_SYMBOLS:
        sleeves = cross_section.decile_weights(test, params.task)
        found["long_short"] = trading.trade(trading.overlapping(sleeves, horizon), earned, cost_bps)
    return found


def measure(account: pd.DataFrame, scores: dict[str, Any], params: Params, configurations: int) -> dict[str, Any]:
    sample = (scores["block_length"], scores["resamples"], scores["confidence"])
    return asdict(trading.performance(account, trading.BARS_PER_YEAR[params.timescale], *sample, configurations))


def main() -> None:
    params = load_params(Params)
    predictions, run_told = read_parquet(PREDICTIONS), read_json(EXPERIMENT)
    scores, tried = run_told["scores"], tries(params, run_told["axes"], run_told["compute"]["precision"])
    found = accounts(predictions[predictions["split"] == "test"], read_parquet(BARS), params)
    # Buy-and-hold was not picked from many: one configuration.
    told = {
        name: measure(account, scores, params, 1 if name == "buy_and_hold" else tried["on_these_labels"])
        for name, account in found.items()
    }
    write_json(METRICS, {"configurations": tried} | told)
    others = {name: account["return"] for name, account in found.items() if name != "model"}
    write_csv(EQUITY_TABLE, found["model"].assign(**others).rename_axis("date").reset_index())
    print(f"trade: {tried['on_these_labels']} configurations were judged by these labels, {tried['in_ledger']} in all")
    for name, about in told.items():
        low, high = about["sharpe"]["low"], about["sharpe"]["high"]
        print(f"trade: {name.replace('_', ' ')}: {about['annual_return']:+.1%} a year after costs, "
              f"Sharpe {about['sharpe']['value']:.2f} ({low:.2f} to {high:.2f})")  # fmt: skip


if __name__ == "__main__":
    run(main)
