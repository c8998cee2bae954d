"""Rules 3 and 4: gradient boosting, fitted again and again on all earlier out-of-sample rows, tested on the next."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from catboost import CatBoostClassifier, CatBoostRegressor

from finscale.errors import InputError
from finscale.evaluation.metrics import loss_rows
from finscale.meta.config import MetaConfig

BASE_RATE, AVERAGE, BEST = "base_rate", "average", "best_input"


def folds(rows: pd.DataFrame, config: MetaConfig) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(train, test) row positions: an expanding past, purged and embargoed, and the next `step_days` days.

    rows: date and exit, in order of date. Raises InputError where there is no day to test on.
    """
    days = np.sort(rows["date"].unique())
    if len(days) <= config.min_train_days:
        raise InputError(
            f"params.yaml: meta.min_train_days = {config.min_train_days} leaves none of the {len(days)} days that all "
            "inputs have to test on; lower it, or choose runs with more out-of-sample days"
        )
    for first in range(config.min_train_days, len(days), config.step_days):
        test_days = days[first : first + config.step_days]
        embargo = days[max(0, first - config.embargo_days)]
        train = (rows["date"] < embargo) & (rows["exit"] < test_days[0])
        yield np.flatnonzero(train), np.flatnonzero(rows["date"].isin(test_days))


def walk_forward(
    rows: pd.DataFrame, names: tuple[str, ...], rivals: tuple[str, ...], config: MetaConfig, binary: bool, seed: int
) -> pd.DataFrame:
    """Predictions of the meta-model and of what it has to beat, on every tested row.

    rows: date, asset, label, exit and the inputs `names`; `rivals` are those that predict this very label. Returns
    date, asset, fold, label, exit, known_until, meta, base_rate, the rivals and, where there are any, their average and
    best_input: the rival with the lowest loss on the fold's training rows, so that no test day chooses it.
    """
    parts = []
    for number, (train, test) in enumerate(folds(rows, config)):
        past, now = rows.iloc[train], rows.iloc[test]
        check_past(past, now, binary)
        table = now[["date", "asset", "label", "exit", *rivals]].assign(
            fold=number,
            known_until=past["exit"].max(),
            meta=_fit_predict(past, now, names, config, binary, seed),
            **{BASE_RATE: past["label"].mean()},
        )
        if rivals:
            truth = past["label"].to_numpy()
            best = min(rivals, key=lambda name: loss_rows(truth, past[name].to_numpy(), binary).mean())
            table = table.assign(**{AVERAGE: now[list(rivals)].mean(axis=1), BEST: now[best]})
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def check_past(past: pd.DataFrame, now: pd.DataFrame, binary: bool) -> None:
    """Rules 3 and 4 on what is about to be fitted, and whether anything can be learnt from it."""
    first = now["date"].min()
    if past["exit"].max() >= first or past["date"].max() >= first:
        raise InputError(
            f"meta: training labels exit on {past['exit'].max():%Y-%m-%d}, not before the first test day "
            f"{first:%Y-%m-%d}; purge them"
        )
    if past.empty or (binary and past["label"].nunique() < 2):
        raise InputError(
            f"meta: the {len(past)} rows before {first:%Y-%m-%d} hold one class at most; raise meta.min_train_days"
        )


def _fit_predict(
    past: pd.DataFrame, now: pd.DataFrame, names: tuple[str, ...], config: MetaConfig, binary: bool, seed: int
) -> np.ndarray:
    settings = config.model_dump(include={"iterations", "depth", "learning_rate"})
    kind = CatBoostClassifier if binary else CatBoostRegressor
    # One thread: sums in a fixed order, so that the same trees grow every time.
    model = kind(**settings, random_seed=seed, thread_count=1, allow_writing_files=False, verbose=False)
    model.fit(past[list(names)], past["label"])
    return np.asarray(model.predict_proba(now[list(names)])[:, 1] if binary else model.predict(now[list(names)]))
