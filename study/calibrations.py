"""calibrations: predictions of finished runs -> what each calibration method makes of every size

Reads  refs/exps (DVC's finished experiments), their results and their predictions in the DVC cache
Writes results/calibrations.csv  a row per run: curve, code, axes, counted parameters, test loss with each method, and
                                 baselines'
Why    a run is judged with one calibration, set beforehand. Where the days that calibrate were unlike the days that
       test, every size gets the loss of that calibration, and a curve is flat for a reason that has nothing to do with
       size. The predictions hold all methods side by side, so that no run has to be repeated to see it; shrinkage,
       which is younger than some runs, is fitted to their calibration rows as the stage `evaluate` does.

    python -m study.calibrations P1- --source directory
"""

import argparse
import io
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit
from tabulate import tabulate

from finscale.cli import run
from finscale.config import is_binary
from finscale.errors import InputError
from finscale.evaluation.calibration import METHODS, fit_shrinkage, probabilities
from finscale.evaluation.metrics import log_loss_rows
from finscale.scaling.curves import name_runs, versions
from finscale.scaling.fits import sessions_of
from finscale.scaling.laws.checks import count_sizes
from finscale.scaling.laws.contrast import Runs
from finscale.scaling.laws.exponent import exponent
from finscale.scaling.laws.multiple import holm
from finscale.scaling.laws.power_law import MIN_SIZES
from finscale.scaling.ledger import AXES
from finscale.scaling.settings import read_settings
from finscale.scaling.verdict import judge
from finscale.storage import write_csv
from study.base_runs import read_predictions
from study.experiments import finished

TABLE = Path("results/calibrations.csv")
SETTINGS = Path("results/settings.json")
CURVE = ["experiment", "code", "data"]  # a curve is of one version of each
FREE = ("calibrate.method",)
BASELINES = ("base_rate", "persistence", "logistic", "catboost", "volatility")


def measure(run_name: str, commit: str) -> pd.DataFrame:
    """One run's losses on each test day: indexed by date, a column per method and baseline, and `rows` of the day."""
    predictions = with_shrinkage(pd.read_parquet(io.BytesIO(read_predictions(commit, run_name))))
    test = predictions[predictions["split"] == "test"]
    columns = {method: f"calibrated_{method}" for method in METHODS} | {name: name for name in BASELINES}
    label = test["label"].to_numpy()
    losses = pd.DataFrame({key: log_loss_rows(label, test[column].to_numpy()) for key, column in columns.items()})
    days = losses.groupby(test["date"].to_numpy())
    return days.mean().assign(rows=days.size())


def mean_losses(days: pd.DataFrame) -> dict[str, float]:
    """Over all test rows. days: of measure."""
    return {str(name): float(np.average(days[name], weights=days["rows"])) for name in days if name != "rows"}


def chosen(prefix: str, source: str) -> pd.DataFrame:
    """The finished runs of that name and source as the ledger would hold them, curves named.

    Settings of the calibration part no runs here: the network is the same, and every method is measured. Of each
    curve, code, state of the data, budget and seed the newest run counts.
    """
    found = [one for one in finished() if not one.left_out and one.name.startswith(prefix)]
    found = [one for one in found if one.row["source"] == source and is_binary(one.row["task"])]
    if not found:
        raise InputError(f"no finished experiment whose name begins with {prefix} on source {source}")
    known = read_settings(SETTINGS) | {one.row["settings"]: one.settings for one in found}
    rows = pd.DataFrame([one.row | {"experiment_commit": one.commit} for one in found])
    return versions(name_runs(rows.assign(horizon=rows["horizon"].astype(str)), known, FREE))


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


def verdicts(runs: pd.DataFrame, days: list[pd.DataFrame]) -> pd.DataFrame:
    """One row per method: the law through all runs and what it says, over seeds and test days.

    runs: of one curve, at least MIN_SIZES sizes. days: of measure, one per run. p-values are adjusted over the methods.
    Raises InputError where two runs were tested on different days.
    """
    sizes, names = runs["params"].to_numpy(float), runs["name"].tolist()
    for name, one in zip(names, days, strict=True):
        if not one.index.equals(days[0].index):
            raise InputError(f"runs {names[0]} and {name} were tested on different days: they share no interval")
    sessions = sessions_of(str(runs["horizon"].iloc[0]))
    found = {}
    for method in METHODS:
        daily = np.stack([one[method].to_numpy() for one in days])
        of_method = Runs(daily, sizes, runs["seed"].to_numpy(), sessions, days[0]["rows"].to_numpy(float))
        found[method] = exponent(sizes, of_method).alpha
    adjusted = holm({method: alpha.p_value for method, alpha in found.items()})
    return pd.DataFrame(
        [
            {
                "method": method,
                "mean loss": runs[method].mean(),
                "alpha": f"{alpha.value:.4f} ({alpha.low:.4f} to {alpha.high:.4f})",
                "verdict": judge(alpha, adjusted[method]).words,
            }
            for method, alpha in found.items()
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix", help="of the runs' names, such as P1-")
    parser.add_argument("--source", default="bundled")
    asked = parser.parse_args()
    runs = chosen(asked.prefix, asked.source)
    days = [measure(name, commit) for name, commit in zip(runs["name"], runs["experiment_commit"], strict=True)]
    told = runs.rename(columns={"params_total": "params"})[["name", *CURVE, *AXES, "params"]]
    table = pd.concat([told.reset_index(drop=True), pd.DataFrame([mean_losses(one) for one in days])], axis=1)
    table = table.sort_values([*CURVE, "params", "seed"])  # the index still says which of `days` a row is
    write_csv(TABLE, table)
    means = table.groupby([*CURVE, "budget"], sort=False)[[*METHODS, *BASELINES]].mean()
    print(tabulate(means.reset_index(), headers="keys", floatfmt=".4f", showindex=False))
    for curve, of_curve in table.groupby(CURVE):
        if count_sizes(of_curve["params"].to_numpy(float)) >= MIN_SIZES:
            print(f"\n{', '.join(map(str, curve))}: {len(of_curve)} runs")
            print(
                tabulate(
                    verdicts(of_curve, [days[at] for at in of_curve.index]),
                    headers="keys",
                    floatfmt=".4f",
                    showindex=False,
                )
            )


if __name__ == "__main__":
    run(main)
