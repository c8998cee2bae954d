"""download: source -> data/raw

Reads  the source that params.yaml names; `live` through the raw store, so that no server is asked twice
       data/inputs.json           of `configure`: which symbols and quality, and what the source will read, by
                                  content, so that new content is a new run
Writes data/raw/<series>.parquet  as published, nothing repaired (columns: finscale/sources/tables.py)
       data/raw/manifest.csv      one row per file: series, kind, source, origin, first, last, rows, columns, md5,
                                  retrieved, notes
Why    raw data are fetched once and never changed; everything else can be made again from them.
"""

import os

import pandas as pd

from finscale.cli import run
from finscale.config import Block, Source, load_params
from finscale.data.series import rate_3m_note
from finscale.pages.many import series_lines
from finscale.sources.config import DataConfig
from finscale.sources.fetch import Fetched, fetch
from finscale.sources.inputs import store_folder
from finscale.sources.store import RawStore
from finscale.sources.tables import Universe
from finscale.storage import md5_of, read_json, write_csv, write_parquet
from stages.paths import INPUTS, RAW


class Params(Block):
    source: Source
    data: DataConfig


def manifest_row(source: Source, series: Fetched) -> dict[str, object]:
    frame, name = series.frame, series.wanted.name
    return {
        "series": name,
        "kind": series.wanted.kind,
        "source": source,
        "origin": series.origin,
        "first": f"{frame['date'].min():%Y-%m-%d}",
        "last": f"{frame['date'].max():%Y-%m-%d}",
        "rows": len(frame),
        "columns": len(frame.columns),
        "md5": md5_of(RAW / f"{name}.parquet"),
        "retrieved": series.retrieved,
        "notes": "; ".join(series.notes),
    }


def with_join_note(found: list[Fetched]) -> list[Fetched]:
    """LIBOR's row tells what continues it."""
    note = rate_3m_note({one.wanted.name: (one.wanted.kind, one.frame) for one in found})
    for one in found:
        if note and one.wanted.name == "USD3MTD156N":
            one.notes.append(note)
    return found


def main() -> None:
    params, inputs = load_params(Params), read_json(INPUTS)
    universe = Universe.model_validate(inputs["universe"])
    store = RawStore(store_folder(os.environ), params.data.vintage)
    data, quality, holes = params.data.expanded(), inputs["quality"], inputs["holes"]
    found = with_join_note(fetch(params.source, universe, quality, data, store, holes))
    for one in found:
        write_parquet(RAW / f"{one.wanted.name}.parquet", one.frame)
    for stale in set(RAW.glob("*.parquet")) - {RAW / f"{one.wanted.name}.parquet" for one in found}:
        stale.unlink()
    manifest = pd.DataFrame([manifest_row(params.source, one) for one in found])
    write_csv(RAW / "manifest.csv", manifest)
    for line in series_lines(manifest):
        print(f"download: {line}")


if __name__ == "__main__":
    run(main)
