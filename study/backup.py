"""backup: data, models and the raw store -> the default DVC remote, and every byte checked by hash

Reads  dvc.lock's outputs, the raw store
Writes <remote>/files/md5/...   by `dvc push`
       <remote>/raw-store/...   a copy of the raw store
Why    a backup that nobody has read back is a hope: `python -m study.backup verify` reads all of it and
       changes nothing.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
from dvc.repo import Repo

from finscale.cli import run
from finscale.errors import InputError
from finscale.sources.inputs import MANIFEST, place_of, store_folder
from finscale.sources.store import RawStore
from finscale.storage import md5_of, write_atomically, write_csv
from study.remote import check_mounted, remote_folder

RAW_STORE = "raw-store"


def copy_store(source: RawStore, target: RawStore) -> None:
    """Copy what the target lacks or holds damaged. Raises InputError where the source itself is damaged."""
    if problems := source.damaged():
        raise InputError("the raw store itself is damaged, nothing was copied:\n" + "\n".join(problems))
    wanted, held = source.manifest(), target.manifest()
    for row in wanted.to_dict("records"):
        there, here = (store.root / place_of(store.root, row) for store in (target, source))
        if not (there.exists() and md5_of(there) == row["md5"]):
            write_atomically(there, partial(shutil.copyfile, here))
    together = pd.concat([held, wanted]) if len(held) else wanted
    if len(together := together.drop_duplicates()) > len(held):
        write_csv(target.root / MANIFEST, together)


def objects() -> Iterator[tuple[str, str]]:
    """(output, md5) of every file that dvc.lock names and DVC's cache should hold."""
    for out in Repo().index.outs:
        if not out.use_cache:
            continue
        if not out.hash_info:
            raise InputError(f"{out}: dvc.lock has no hash of it; run `dvc repro` first")
        yield str(out), out.hash_info.value
        if out.hash_info.isdir:
            listing = json.loads(Path(out.cache_path).read_text())
            yield from ((f"{out}/{entry['relpath']}", entry["md5"]) for entry in listing)


def damaged(folder: Path) -> list[str]:
    """Every file of the backup that is missing or whose content does not have its hash."""
    problems = []
    for name, md5 in objects():
        path = folder / "files" / "md5" / md5[:2] / md5[2:]
        if not path.exists():
            problems.append(f"{name}: missing ({path})")
        elif md5_of(path) != md5.removesuffix(".dir"):
            problems.append(f"{name}: damaged ({path})")
    backed_up, kept = RawStore(folder / RAW_STORE), RawStore(store_folder(os.environ)).manifest()
    absent = kept.merge(backed_up.manifest(), how="left", indicator=True)
    absent = absent[absent["_merge"] == "left_only"]
    problems += [
        f"raw store: {row.source}/{row.series} {row.first} to {row.last}: missing" for row in absent.itertuples()
    ]
    return problems + [f"raw store: {problem}" for problem in backed_up.damaged()]


def verify(folder: Path) -> None:
    """Read everything back. Raises InputError that names every file that is missing or damaged."""
    if problems := damaged(folder):
        heading = f"{len(problems)} files of the backup are not whole; `make backup` restores what this disk has:"
        raise InputError("\n".join([heading, *problems]))
    pushed, kept = sum(1 for _ in objects()), len(RawStore(folder / RAW_STORE).manifest())
    print(f"backup: {pushed} files of data and models, {kept} of the raw store, all read back and whole")


def main() -> None:
    if sys.argv[1:] not in ([], ["verify"]):
        raise InputError("say `python -m study.backup` or `python -m study.backup verify`")
    check_mounted()
    folder = remote_folder()
    if not sys.argv[1:]:
        for problem in damaged(folder):  # DVC believes that what it once pushed is still there
            print(f"backup: sending again: {problem}")
        remove_damaged(folder)
        if subprocess.run(["dvc", "push", "--run-cache"], check=False).returncode:
            raise InputError("dvc push failed, see above; what was stored before is untouched")
        copy_store(RawStore(store_folder(os.environ)), RawStore(folder / RAW_STORE))
    verify(folder)


def remove_damaged(folder: Path) -> None:
    """DVC sends a file only where the remote has none of that name: a damaged one has to go first."""
    for _, md5 in objects():
        path = folder / "files" / "md5" / md5[:2] / md5[2:]
        if path.exists() and md5_of(path) != md5.removesuffix(".dir"):
            path.unlink()


if __name__ == "__main__":
    run(main)
