"""calibrations: predictions of finished runs -> what each calibration method makes of every size

Reads  refs/exps (DVC's finished experiments), their results and their predictions in the DVC cache
Writes results/calibrations.csv  a row per run: axes, counted parameters, test loss with each method, and baselines'
Why    a run is judged with one calibration, set beforehand. Where the days that calibrate were unlike the days that
       test, every size gets the loss of that calibration, and a curve is flat for a reason that has nothing to do with
       size. The predictions hold all methods side by side, so that no run has to be repeated to see it; shrinkage,
       which is younger than some runs, is fitted to their calibration rows as the stage `calibrate` does.

    python -m study.calibrations P1- --source directory
"""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.special import logit
from tabulate import tabulate

from finscale.cli import run
from finscale.config import is_binary
from finscale.errors import InputError
from finscale.evaluation.calibration import METHODS, fit_shrinkage, probabilities
from finscale.evaluation.metrics import log_loss_rows
from finscale.scaling.laws.power_law import MIN_SIZES, fit_with_interval
from finscale.scaling.verdict import not_judged
from finscale.storage import write_csv
from study.base_runs import EXPERIMENT, read_predictions
from study.experiments import commits_of, read_commit

TABLE = Path("results/calibrations.csv")
BASELINES = ("base_rate", "persistence", "logistic", "catboost", "volatility")


def measure(name: str, commit: str, source: str) -> dict[str, Any] | None:
    """One run's test losses by method and baseline; None for other sources and for tasks without probabilities."""
    told = json.loads(read_commit(commit)(EXPERIMENT) or "null")
    if told is None or told["axes"]["source"] != source or not is_binary(told["axes"]["task"]):
        return None
    predictions = with_shrinkage(pd.read_parquet(io.BytesIO(read_predictions(commit, name))))
    test = predictions[predictions["split"] == "test"]
    columns = {method: f"calibrated_{method}" for method in METHODS} | {name: name for name in BASELINES}
    label = test["label"].to_numpy()
    losses = {key: float(log_loss_rows(label, test[column].to_numpy()).mean()) for key, column in columns.items()}
    return {"name": name} | told["axes"] | {"params": told["run"]["params_total"]} | losses


def with_shrinkage(predictions: pd.DataFrame) -> pd.DataFrame:
    """The predictions of a run with the column calibrated_shrinkage, fitted here fold by fold where it had none yet.

    All that the stage knew is in them: the model's own probabilities, and the base rate of the training rows.
    """
    if "calibrated_shrinkage" in predictions:
        return predictions
    fold = predictions["fold"] if "fold" in predictions else pd.Series("", index=predictions.index)
    folds = [_shrunk(rows) for _, rows in predictions.groupby(fold, sort=False)]
    return predictions.assign(calibrated_shrinkage=pd.concat(folds))


def _shrunk(rows: pd.DataFrame) -> pd.Series:
    """One fold's probabilities, fitted to its calibration rows alone."""
    logits = pd.Series(logit(rows["calibrated_none"]), rows.index)
    own = rows["split"] == "calibration"
    fitted = fit_shrinkage(logits[own].to_numpy(), rows.loc[own, "label"].to_numpy(), rows["base_rate"].iloc[0])
    shrunk = probabilities(logits.to_numpy(), fitted["temperature"], fitted["base_rate"])
    return pd.Series(shrunk, rows.index)


def verdicts(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per method: the law through all runs and what it says. runs: of one curve, at least MIN_SIZES sizes."""
    rows, params = [], runs["params"].to_numpy()
    for method in METHODS:
        losses = runs[method].to_numpy()
        law = fit_with_interval(params, losses)
        interval = f"{law.alpha:.4f} ({law.alpha_low:.4f} to {law.alpha_high:.4f})"
        verdict = not_judged(law)
        rows.append({"method": method, "mean loss": losses.mean(), "alpha": interval, "verdict": verdict.words})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix", help="of the runs' names, such as P1-")
    parser.add_argument("--source", default="bundled")
    asked = parser.parse_args()
    wanted = [(name, commit) for name, commit in commits_of() if name.startswith(asked.prefix)]
    found = [row for name, commit in wanted if (row := measure(name, commit, asked.source))]
    if not found:
        raise InputError(f"no finished experiment whose name begins with {asked.prefix} on source {asked.source}")
    runs = pd.DataFrame(found).sort_values(["task", "horizon", "tier", "params", "seed"], ignore_index=True)
    # Repeats with another calibration have the same network, and so the same row.
    runs = runs.drop_duplicates([column for column in runs if column != "name"])
    write_csv(TABLE, runs)
    means = runs.groupby(["task", "horizon", "tier", "budget"], sort=False)[[*METHODS, *BASELINES]].mean()
    print(tabulate(means.reset_index(), headers="keys", floatfmt=".4f", showindex=False))
    for curve, of_curve in runs.groupby(["task", "horizon", "tier"]):
        if of_curve["params"].nunique() >= MIN_SIZES:
            print(f"\n{', '.join(map(str, curve))}: {len(of_curve)} runs")
            print(tabulate(verdicts(of_curve), headers="keys", floatfmt=".4f", showindex=False))


if __name__ == "__main__":
    run(main)
