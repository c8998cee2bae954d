"""What a run on a simulated panel loses in expectation over each next day's draw, by the law that made the market.

The luck of the test days falls out, so that a curve of such losses shows the size alone: what a ladder's exponent is
held against.
"""

import io
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from finscale.config import check_params, parse_yaml
from finscale.evaluation.metrics import log_loss_rows
from finscale.sources.config import DataConfig
from finscale.sources.simulated import last_sessions
from finscale.sources.simulated_bound import entropy
from finscale.sources.simulated_panel import simulate_panel
from finscale.storage import read_csv, write_csv
from study.base_runs import commit_of, read_predictions
from study.experiments import read_commit

TABLE = Path("results/noiseless.csv")  # a row per run; bound: of its test rows
_COLUMNS = ("key", "name", "expected_loss", "bound")


def noiseless(runs: pd.DataFrame) -> pd.DataFrame:
    """`runs` (ledger rows) with `expected_loss` and `bound`, in nats.

    A run is measured once, on its predictions in DVC's cache; results/noiseless.csv keeps what was found.
    """
    known = _known()
    found = [_measure(row) for row in runs.to_dict("records") if row["key"] not in set(known["key"])]
    if found:
        known = pd.concat([known, pd.DataFrame(found)], ignore_index=True)
        write_csv(TABLE, known)
    losses = known.set_index("key")[["expected_loss", "bound"]].astype(float)
    return runs.assign(**{name: runs["key"].map(losses[name]) for name in losses})


def _known() -> pd.DataFrame:
    return read_csv(TABLE, text=["key"]) if TABLE.exists() else pd.DataFrame(columns=list(_COLUMNS))


def _measure(row: dict[str, object]) -> dict[str, object]:
    name = str(row["name"])
    commit = commit_of(name)
    params = parse_yaml(read_commit(commit)["params.yaml"])
    predictions = pd.read_parquet(io.BytesIO(read_predictions(commit, name)))
    test = predictions[predictions["split"] == "test"]
    chance = chance_on(check_params(DataConfig, params["data"], Path("params.yaml")), test)
    loss, bound = expected(chance, test["model"].to_numpy())
    return dict(zip(_COLUMNS, (row["key"], name, loss, bound), strict=True))


def expected(chance: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """The mean log-loss of these probabilities over the draw of the label, and of the best there could be."""
    return float(log_loss_rows(chance, predicted).mean()), float(entropy(chance).mean())


def chance_on(data: DataConfig, rows: pd.DataFrame) -> np.ndarray:
    """The chance of a rise that the market's law gives on each row (date, asset)."""
    of_day = _chances(data.model_dump_json())
    return of_day.to_numpy()[of_day.index.get_indexer(rows["date"]), of_day.columns.get_indexer(rows["asset"])]


@cache
def _chances(told: str) -> pd.DataFrame:
    """By session and symbol. told: text, since blocks that hold dictionaries have no hash."""
    data = DataConfig.model_validate_json(told)
    panel = simulate_panel(data.simulated, last_sessions(data.start, data.end, data.simulated.sessions))
    return pd.DataFrame(panel.chance, panel.days, list(panel.names))
