"""backup: data, models and the raw store -> the default DVC remote, and every byte checked by hash

Reads  dvc.lock's outputs, the raw store
Writes <remote>/files/md5/...   as `dvc push` does, but file by file; then by `dvc push`, for the run cache
       <remote>/raw-store/...   a copy of the raw store
Why    a backup that nobody has read back is a hope: `python -m study.backup verify` reads all of it and
       changes nothing.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from finscale.cli import run
from finscale.errors import InputError
from finscale.sources.inputs import MANIFEST, place_of, store_folder
from finscale.sources.store import RawStore
from finscale.storage import md5_of, read_json, write_atomically, write_csv
from study.pinned import cache_folder
from study.programs import dvc
from study.remote import check_mounted, remote_folder, repository

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


@dataclass(frozen=True)
class Kept:
    """A file that dvc.lock names: of which output, under which hash, and where it lies in the workspace."""

    name: str
    md5: str
    workspace: Path

    def in_backup(self, folder: Path) -> Path:
        return folder / "files/md5" / self.md5[:2] / self.md5[2:]

    def in_cache(self) -> Path:
        return cache_folder() / "files/md5" / self.md5[:2] / self.md5[2:]

    def is_whole(self, path: Path) -> bool:
        return path.is_file() and md5_of(path) == self.md5.removesuffix(".dir")


def objects(folder: Path) -> Iterator[Kept]:
    """Every file that dvc.lock names and DVC's cache should hold. A folder is a file that lists it, and its files."""
    for out in repository().index.outs:
        if not out.use_cache:
            continue
        if not out.hash_info:
            raise InputError(f"{out}: dvc.lock has no hash of it; run `dvc repro` first")
        kept = Kept(str(out), out.hash_info.value, Path(out.fs_path))
        if out.hash_info.isdir:
            yield from (
                Kept(f"{out}/{entry['relpath']}", entry["md5"], Path(out.fs_path) / entry["relpath"])
                for entry in _listing(kept, folder)
            )
        yield kept  # a listing after what it lists: where it is there DVC holds the folder for complete


def _listing(kept: Kept, folder: Path) -> list[dict[str, str]]:
    """What a folder holds, as DVC listed it: of this machine's cache, or of the backup."""
    for path in (kept.in_cache(), kept.in_backup(folder)):
        if kept.is_whole(path):
            listed: list[dict[str, str]] = read_json(path)
            return listed
    raise InputError(
        f"{kept.name}: what belongs to this folder is told neither by DVC's cache nor by the backup; `dvc commit "
        f"{kept.name}` where the folder is whole here, else `dvc repro`"
    )


def damaged(folder: Path) -> list[str]:
    """Every file of the backup that is missing or whose content does not have its hash."""
    problems = []
    for kept in objects(folder):
        path = kept.in_backup(folder)
        if not kept.is_whole(path):
            problems.append(f"{kept.name}: {'damaged' if path.exists() else 'missing'} ({path})")
    backed_up, mine = RawStore(folder / RAW_STORE), RawStore(store_folder(os.environ)).manifest()
    absent = mine.merge(backed_up.manifest(), how="left", indicator=True)
    absent = absent[absent["_merge"] == "left_only"]
    problems += [
        f"raw store: {row.source}/{row.series} {row.first} to {row.last}: missing" for row in absent.itertuples()
    ]
    return problems + [f"raw store: {problem}" for problem in backed_up.damaged()]


def verify(folder: Path) -> None:
    """Read everything back. Raises InputError that names every file that is missing or damaged."""
    if problems := damaged(folder):
        heading = f"{len(problems)} files of the backup are not whole; `make backup` sends what this disk has whole:"
        raise InputError("\n".join([heading, *problems]))
    pushed, kept = sum(1 for _ in objects(folder)), len(RawStore(folder / RAW_STORE).manifest())
    print(f"backup: {pushed} files of data and models, {kept} of the raw store, all read back and whole")


def main() -> None:
    if sys.argv[1:] not in ([], ["verify"]):
        raise InputError("say `python -m study.backup` or `python -m study.backup verify`")
    check_mounted()
    folder = remote_folder()
    if not sys.argv[1:]:
        mend(folder)
        if dvc("push", "--run-cache"):
            raise InputError("dvc push failed, see above; what was stored before is untouched")
        copy_store(RawStore(store_folder(os.environ)), RawStore(folder / RAW_STORE))
    verify(folder)


def mend(folder: Path) -> None:
    """Send what the backup lacks or holds damaged.

    DVC would not: it believes that a folder is there once its listing is, and that a file is whole once it is there.
    Nothing is removed: a damaged file gives way to a whole one, and stays where this machine has none.
    """
    sent = 0
    for kept in objects(folder):
        target = kept.in_backup(folder)
        if kept.is_whole(target):
            continue
        whole = next((path for path in (kept.in_cache(), kept.workspace) if kept.is_whole(path)), None)
        if whole:
            write_atomically(target, partial(shutil.copyfile, whole))
            sent += 1
        else:
            print(f"backup: no whole copy of {kept.name} on this machine; what the backup has of it stays")
    print(f"backup: {sent} files sent")


if __name__ == "__main__":
    run(main)
