"""trade: predictions + bars -> metrics/trade.json

Reads  data/processed/predictions.parquet, data/interim/bars.parquet, metrics/{experiment,compare}.json
Writes metrics/trade.json   return, volatility, Sharpe ratios, drawdown and turnover, beside buy-and-hold
       plots/equity.csv     per test day: return after costs, turnover and position; buy-and-hold's return
Why    secondary: a statistically good model may be worth nothing after costs, and the other way round.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import Block, Horizon, Task, load_params
from finscale.evaluation import trading
from finscale.evaluation.bootstrap import horizon_sessions
from finscale.evaluation.config import TradeConfig
from finscale.storage import read_json, read_parquet, write_csv, write_json
from stages.paths import BARS, COMPARED, EQUITY_TABLE, EXPERIMENT, PREDICTIONS

METRICS = Path("metrics/trade.json")


class Params(Block):
    task: Task
    horizon: Horizon
    trade: TradeConfig


def accounts(test: pd.DataFrame, bars: pd.DataFrame, params: Params) -> dict[str, pd.DataFrame]:
    """Daily accounts of the model's positions and of buy-and-hold on the same days."""
    signal = trading.signals(test, params.task, params.trade.rule)
    earned = trading.next_open_returns(bars[bars["asset"].isin(signal.columns)], pd.DatetimeIndex(signal.index))
    position = trading.positions(signal, horizon_sessions(params.horizon))
    return {
        "model": trading.trade(position, earned, params.trade.cost_bps),
        "buy_and_hold": trading.buy_and_hold(earned, params.trade.cost_bps),
    }


def measure(account: pd.DataFrame, scores: dict[str, Any], configurations: int) -> dict[str, Any]:
    sample = (scores["block_length"], scores["resamples"], scores["confidence"])
    return asdict(trading.performance(account, *sample, configurations))


def main() -> None:
    params = load_params(Params)
    predictions, scores = read_parquet(PREDICTIONS), read_json(EXPERIMENT)["scores"]
    tried = read_json(COMPARED)["configurations"]["on_these_labels"]
    found = accounts(predictions[predictions["split"] == "test"], read_parquet(BARS), params)
    # Buy-and-hold was not picked from many: one configuration.
    told = {
        "model": measure(found["model"], scores, tried),
        "buy_and_hold": measure(found["buy_and_hold"], scores, 1),
    }
    write_json(METRICS, {"configurations": tried} | told)
    held = found["buy_and_hold"]["return"].rename("buy_and_hold")
    write_csv(EQUITY_TABLE, found["model"].join(held).rename_axis("date").reset_index())
    for name, about in told.items():
        low, high = about["sharpe"]["low"], about["sharpe"]["high"]
        print(f"trade: {name.replace('_', ' ')}: {about['annual_return']:+.1%} a year after costs, "
              f"Sharpe {about['sharpe']['value']:.2f} ({low:.2f} to {high:.2f})")  # fmt: skip


if __name__ == "__main__":
    run(main)
