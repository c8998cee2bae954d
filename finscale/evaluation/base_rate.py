"""The forecast that needs no model: what the training rows did on average, known before any later day."""

import pandas as pd

from finscale.errors import InputError


def base_rate(rows: pd.DataFrame) -> float:
    """Mean label of the training rows among `rows` (split, label): a rate of positives, or a mean return.

    Rows of other splits have no say in it. Raises InputError where no training row has a label.
    """
    train = rows.loc[rows["split"] == "train", "label"].dropna()
    if train.empty:
        raise InputError(
            f"base rate: none of {len(rows)} rows is a training row with a label; make the data set again with "
            "`dvc repro dataset`"
        )
    return float(train.mean())
