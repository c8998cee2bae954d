"""Files that a commit's dvc.lock pins: read from DVC's cache, or else from the remote."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import dvc.api
import yaml
from dvc.config import Config
from dvc.exceptions import DvcException

from finscale.errors import InputError


def locked(lock: str | None, stage: str, path: str) -> str:
    """DVC's hash of a stage's output, as the text of a lock file records it; empty before the first run."""
    stages = (yaml.load(lock or "{}", yaml.CSafeLoader) or {}).get("stages", {})
    return next((str(out["md5"]) for out in stages.get(stage, {}).get("outs", []) if out["path"] == path), "")


def read_held(md5: str) -> bytes | None:
    """What DVC's cache on this machine holds under a hash; None where it does not, or the hash is empty."""
    held = cache_folder() / "files/md5" / md5[:2] / md5[2:]
    return held.read_bytes() if md5 and held.is_file() else None


def read_held_folder(md5: str, paths: Sequence[str]) -> list[bytes] | None:
    """Files of a folder that DVC's cache holds. md5: of the folder, ending in .dir; None unless all are there."""
    if (listing := read_held(md5)) is None:
        return None
    inside = {str(one["relpath"]): str(one["md5"]) for one in json.loads(listing)}
    found = [read_held(inside.get(path, "")) for path in paths]
    whole = [content for content in found if content is not None]
    return whole if len(whole) == len(paths) else None


def read_pinned(commit: str, path: str, md5: str, name: str) -> bytes:
    """The content of one file of experiment `name`. md5: its hash in the commit's dvc.lock, or empty where unknown.

    Raises InputError where neither the cache nor a remote has it.
    """
    if (content := read_held(md5)) is not None:
        return content
    try:
        with dvc.api.open(path, rev=commit, mode="rb") as file:
            return bytes(file.read())
    except (DvcException, OSError) as error:
        raise InputError(
            f"experiment {name}: {path} is neither in the DVC cache nor in a remote ({error}); run it again"
        ) from None


@cache
def cache_folder() -> Path:
    folder = Config(".dvc").get("cache", {}).get("dir")
    return Path(folder) if folder else Path(".dvc/cache")
