"""predict: model + rows -> data/processed/model_predictions.parquet

Reads  models/model.{safetensors,json}, data/processed/development.parquet
       data/processed/test.parquet  features of the test rows, without labels; only this stage and `baselines` open them
       models/model_folds/, data/processed/{development,test}_folds/, folds.csv  of the folds after the first
Writes data/processed/model_predictions.parquet  date, asset, split, output: logits, or returns in the label's units, on
                                    validation, calibration and test rows; all folds, told apart by `fold`
Why    the one stage after training that needs the weights. What its outputs are worth is for others to say, who see
       labels and no weights, and who can say it again when there is a new metric.
"""

import pandas as pd

from finscale.cli import run
from finscale.data.dataset import feature_names, read_development, read_test_features
from finscale.data.folds import StoredFold, read_folds
from finscale.data.rows import Rows
from finscale.data.windows import Windows
from finscale.evaluation.rows import EVALUATED, of_fold
from finscale.storage import read_parquet, write_parquet
from finscale.training import checkpoint
from finscale.training.elsewhere import check_same_weights, result_to_take, take_files
from finscale.training.prediction import outputs_in_units
from stages.paths import DEVELOPMENT, FOLDS, MODEL, MODEL_PREDICTIONS, TEST, WEIGHTS


def predict_fold(fold: StoredFold) -> pd.DataFrame:
    rows = pd.concat([read_development(fold.of(DEVELOPMENT)), read_test_features(fold.of(TEST))])
    rows = rows.sort_values(["asset", "date"], ignore_index=True)
    trained = checkpoint.load(fold.of(WEIGHTS), fold.of(MODEL), feature_names(rows))
    made, stacked = [], Rows.of(rows).on(trained.compute.device)
    for split in (split for split in EVALUATED if split in set(rows["split"])):
        windows = Windows(stacked, split, trained.model.context_length, trained.compute.device)
        output = outputs_in_units(trained.network, windows, trained.target, trained.compute)
        made.append(windows.keys.assign(split=split, output=output))
    return of_fold(made, fold)


def main() -> None:
    if result := result_to_take():  # as `train` has taken its model
        check_same_weights(result, [fold.of(MODEL) for fold in read_folds(FOLDS)])
        take_files(result, [MODEL_PREDICTIONS])
        predictions = read_parquet(MODEL_PREDICTIONS)
    else:
        predictions = pd.concat([predict_fold(fold) for fold in read_folds(FOLDS)], ignore_index=True)
        write_parquet(MODEL_PREDICTIONS, predictions)
    counts = predictions["split"].value_counts()
    print("predict: " + ", ".join(f"{split} {count} rows" for split, count in counts.items()))


if __name__ == "__main__":
    run(main)
