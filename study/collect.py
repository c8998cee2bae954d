"""collect: every finished experiment -> results/ledger.csv, results/settings.json

Reads  refs/exps (DVC's finished experiments)
Writes results/ledger.csv     rows whose key it does not hold yet are appended; nothing else changes
       results/settings.json  the settings that they name, once for each digest
Why    the ledger outlives the experiments: it is in git, and the scaling stage reads it.
"""

from pathlib import Path

from filelock import FileLock

from finscale.cli import run
from finscale.scaling.ledger import add_rows, read_ledger
from finscale.scaling.settings import read_settings
from finscale.storage import write_csv, write_json
from study.experiments import finished

LEDGER = Path("results/ledger.csv")
SETTINGS = Path("results/settings.json")
LOCK = Path(".dvc/tmp/ledger.lock")


def collect(quiet: bool = False) -> int:
    """Append what is new; returns the number of rows added. Two collectors at once wait for each other."""
    rows, settings = finished()
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(LOCK):
        before = read_ledger(LEDGER)
        after = add_rows(before, rows)
        added, known = len(after) - len(before), read_settings(SETTINGS)
        new = {digest: settings[digest] for digest in settings if digest in set(after["settings"]) - set(known)}
        if new:  # before the ledger: interrupted in between, no row names what is not there
            write_json(SETTINGS, known | new)
        if added:
            write_csv(LEDGER, after)
    if not quiet:
        print(f"collect: {len(rows)} finished experiments, {added} new, {len(after)} rows in {LEDGER}")
    return added


def main() -> None:
    collect()


if __name__ == "__main__":
    run(main)
