"""trade: predictions + bars -> metrics/trade.json

Reads  data/processed/predictions.parquet, data/interim/bars.parquet, metrics/{experiment,compare}.json
Writes metrics/trade.json   return, volatility, Sharpe ratios, drawdown and turnover, beside buy-and-hold
                            of ten symbols a day or more also a long-short portfolio of the extreme deciles
       plots/equity.csv     per test day: return after costs, turnover and position; returns of the others
Why    secondary: a statistically good model may be worth nothing after costs, and the other way round.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import Block, Horizon, Task, Timescale, load_params
from finscale.data.labels import horizon_on
from finscale.evaluation import cross_section, trading
from finscale.evaluation.bootstrap import horizon_sessions
from finscale.evaluation.config import TradeConfig
from finscale.storage import read_json, read_parquet, write_csv, write_json
from stages.paths import BARS, COMPARED, EQUITY_TABLE, EXPERIMENT, PREDICTIONS

METRICS = Path("metrics/trade.json")


class Params(Block):
    timescale: Timescale
    task: Task
    horizon: Horizon
    trade: TradeConfig


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
    predictions, scores = read_parquet(PREDICTIONS), read_json(EXPERIMENT)["scores"]
    tried = read_json(COMPARED)["configurations"]["on_these_labels"]
    found = accounts(predictions[predictions["split"] == "test"], read_parquet(BARS), params)
    # Buy-and-hold was not picked from many: one configuration.
    told = {
        name: measure(account, scores, params, 1 if name == "buy_and_hold" else tried)
        for name, account in found.items()
    }
    write_json(METRICS, {"configurations": tried} | told)
    others = {name: account["return"] for name, account in found.items() if name != "model"}
    write_csv(EQUITY_TABLE, found["model"].assign(**others).rename_axis("date").reset_index())
    for name, about in told.items():
        low, high = about["sharpe"]["low"], about["sharpe"]["high"]
        print(f"trade: {name.replace('_', ' ')}: {about['annual_return']:+.1%} a year after costs, "
              f"Sharpe {about['sharpe']['value']:.2f} ({low:.2f} to {high:.2f})")  # fmt: skip


if __name__ == "__main__":
    run(main)
