"""collect: every finished experiment -> results/ledger.csv, results/settings.json, results/daily/, results/epochs/

Reads  refs/exps (DVC's finished experiments)
Writes results/ledger.csv     rows whose key it does not hold yet are appended; nothing else changes
       results/settings.json  the settings that they name, once for each digest, and the plain value of each setting
       results/daily/         per row the loss on each test day, as the experiment wrote it
       results/epochs/        per row the losses after each epoch, where this machine has the training's log
Why    the ledger outlives the experiments: it is in git, and the scaling stage reads it. A result enters it only if it
       was made by the experiment that it lies in: one that was run to an earlier stage holds another's.
"""

from pathlib import Path

from filelock import FileLock

from finscale.cli import run
from finscale.errors import InputError
from finscale.identity import SINGLE
from finscale.scaling.daily import FOLDER, daily_path, unseen_path
from finscale.scaling.epochs import FOLDER as EPOCHS
from finscale.scaling.epochs import epochs_path
from finscale.scaling.ledger import add_rows, open_ledger, write_ledger
from finscale.scaling.settings import PLAIN, Settings, plain_settings_of, read_settings
from finscale.storage import write_bytes, write_csv, write_json
from study.experiments import Finished, committed_params, finished

LEDGER = Path("results/ledger.csv")
SETTINGS = Path("results/settings.json")
LOCK = Path(".dvc/tmp/ledger.lock")


def collect(quiet: bool = False) -> int:
    """Append what is new; returns the number of rows added. Two collectors at once wait for each other.

    Raises InputError where the ledger holds a line that is no row: appended to, it could not be mended any more.
    """
    found = finished()
    mine = [one for one in found if not one.left_out]
    with locked():
        ledger = open_ledger(LEDGER)
        if ledger.faults:
            raise InputError("\n".join([*ledger.faults, "mend it, then `make collect`: DVC keeps the experiments"]))
        after = add_rows(ledger.rows, [one.row for one in mine])
        added, named = len(after) - len(ledger.rows), set(after["settings"])
        write_settings({one.row["settings"]: one.settings for one in mine if one.row["settings"] in named})
        of_rows = [one for one in mine if one.row["key"] in set(after["key"])]
        write_daily(of_rows)
        write_epochs(of_rows)
        if added:  # last: interrupted before, no row names what is not there
            write_ledger(LEDGER, after)
    if not quiet:
        say(found)
        print(f"collect: {len(mine)} finished experiments, {added} new, {len(after)} rows in {LEDGER}")
    return added


def locked() -> FileLock:
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(LOCK)


def write_settings(found: dict[str, Settings]) -> None:
    """Add to settings.json the digests that it lacks, and plain values of settings that have none yet.

    Plain is what the committed params.yaml says when a setting is first met: later edits of it rename no curve.
    """
    known = read_settings(SETTINGS)
    new = {digest: settings for digest, settings in found.items() if digest not in known}
    committed = plain_settings_of(committed_params())
    plain = known.get(PLAIN, {})
    lacking = {key for settings in found.values() for key in settings} - set(plain)
    if new or (found and (lacking & set(committed) or not plain)):
        write_json(SETTINGS, {PLAIN: committed | plain} | {k: v for k, v in known.items() if k != PLAIN} | new)


def write_daily(found: list[Finished]) -> None:
    """The daily losses of experiments whose file is not there yet, also of rows that were collected before."""
    for one in found:
        key = one.row["key"]
        for path, content in ((daily_path(FOLDER, key), one.daily), (unseen_path(FOLDER, key), one.unseen)):
            if content is not None and not path.exists():
                write_bytes(path, content)


def write_epochs(found: list[Finished]) -> None:
    """The losses by epoch of experiments whose file is not there yet; a walk-forward run's are of one fold alone."""
    for one in found:
        path = epochs_path(EPOCHS, one.row["key"])
        if one.epochs is not None and one.row["scheme"] == SINGLE and not path.exists():
            write_csv(path, one.epochs)


def say(found: list[Finished]) -> None:
    for one in found:
        if one.left_out:
            print(f"collect: {one.name} left out: {one.left_out}")


def main() -> None:
    collect()


if __name__ == "__main__":
    run(main)
