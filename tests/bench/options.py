"""Options of the model on a planted market: how much of the skill that there is does a small model find with each?

`python -m tests.bench.options [NAME ...]` runs every stage on the market of study/controls.py (4,000 sessions, of which
about 2,400 train), one seed each, and prints the share of the skill: 1 at the best forecast that there can be, 0 at the
base rate. A quick look, not the protocol by which a default is chosen.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from study.controls import Control
from study.planted import measure, run_stages

_SMALL = {"patch_length": 4, "patch_stride": 4}
_LAST = {"pooling": "last", **_SMALL}
OPTIONS: dict[str, dict[str, Any]] = {
    "mean": {},
    "last": {"pooling": "last"},
    "last-4": _LAST,
    "attention-4": {"pooling": "attention", **_SMALL},
    "flatten-4": {"pooling": "flatten", **_SMALL},
    "none-4": {"input_norm": "none", **_LAST},
    "stats-4": {"input_norm": "instance_stats", **_LAST},
    "hidden-4": {"head_hidden": 0.5, **_LAST},
    "shared-4": {"channel_attention": "shared", **_LAST},
    "separate-4": {"channel_attention": "separate", **_LAST},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.options", description=__doc__)
    parser.add_argument("names", nargs="*", default=["mean", "last", "last-4"], help=", ".join(OPTIONS))
    parser.add_argument("--complexity", type=int, default=1, help="1: the straight law; 2: it turns")
    parser.add_argument("--epochs", type=int, default=8)
    given = parser.parse_args()
    settings = Control(4000, complexity=given.complexity, epochs=given.epochs).settings()
    for name in given.names:
        with tempfile.TemporaryDirectory() as folder:
            run_stages(Path(folder), settings | {"train": settings["train"] | {"model": OPTIONS[name]}})
            found = measure(Path(folder))
        print(
            f"{name:<12} share {found.share:.2f}, test loss {found.loss.value:.4f}, the law's {found.law_loss:.4f}, "
            f"{found.params:,} parameters, {found.train_rows} training days, {found.seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
