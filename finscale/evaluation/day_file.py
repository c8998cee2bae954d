"""How a run's losses per test day are stored: small enough that hundreds of runs can stay in git.

Columns of few values (a base rate has one loss for each label) are kept as float32, by dictionary. The others are
rounded to SIGNIFICANT_BITS bits, independently of each other: over 60 days or more that moves a mean loss by a
millionth, where seeds differ by a thousandth. Days need no time, and nobody searches by statistics. Of 749 days and
seven models it makes 10 kB, where doubles as pandas writes them take 35.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from finscale.storage import read_parquet, write_atomically

SIGNIFICANT_BITS = 16
ROUNDING = 2.0**-SIGNIFICANT_BITS  # relative: what storing moves a loss by, and so a mean of them, at most


def write_day_file(path: Path, losses: pd.DataFrame) -> None:
    """losses: date (midnights), rows, and a column per model."""
    models = [name for name in losses if name not in ("date", "rows")]
    few = [name for name in models if losses[name].nunique() <= len(losses) // 4]
    many = [name for name in models if name not in few]
    told = losses.astype({"rows": np.int32} | dict.fromkeys(few, np.float32))
    told = told.assign(**{name: rounded(told[name].to_numpy()) for name in many})
    types = {"date": pa.date32(), "rows": pa.int32()} | dict.fromkeys(models, pa.float32())
    table = pa.Table.from_pandas(told, pa.schema(types.items()), preserve_index=False).replace_schema_metadata(None)

    def write(temporary: Path) -> None:
        # Byte streams apart: the bytes that rounding has cleared, and those that tell magnitudes, shrink to nothing.
        split = dict.fromkeys(many, "BYTE_STREAM_SPLIT")
        pq.write_table(
            table, temporary, compression="zstd", compression_level=19, use_dictionary=["rows", *few],
            column_encoding=split, write_statistics=False, store_schema=False,
        )  # fmt: skip

    write_atomically(path, write)


def read_day_file(path: Path) -> pd.DataFrame:
    """What write_day_file stored: dates as midnights, losses as doubles."""
    losses = read_parquet(path)
    models = [name for name in losses if name not in ("date", "rows")]
    dates = pd.to_datetime(losses["date"]) if "date" in losses else None
    return losses.astype(dict.fromkeys(models, float)).assign(**({} if dates is None else {"date": dates}))


def rounded(values: np.ndarray) -> np.ndarray:
    """Float32 at SIGNIFICANT_BITS significant bits, to the nearest."""
    mantissa, exponent = np.frexp(np.asarray(values, float))
    return np.ldexp(np.round(np.ldexp(mantissa, SIGNIFICANT_BITS)), exponent - SIGNIFICANT_BITS).astype(np.float32)
