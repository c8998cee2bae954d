"""What of a label lies beside the test features, and is taken out of them before they travel."""

from pathlib import Path

import numpy as np

from finscale.storage import read_parquet, write_parquet

KNOWN = "last_known"  # the newest label known at the day's close: that of a test day, for all days but the first ones
TEST_FEATURES = ("test.parquet", "test_folds/*.parquet")


def take_out_known_labels(folder: Path) -> None:
    """Empty the column `last_known` of the test features in a folder; a baseline reads it, a model does not."""
    for path in (path for pattern in TEST_FEATURES for path in sorted(folder.glob(pattern))):
        write_parquet(path, read_parquet(path).assign(**{KNOWN: np.nan}))
