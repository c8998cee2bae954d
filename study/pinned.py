"""Files that a commit's dvc.lock pins: read from DVC's cache, or else from the remote."""

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


def read_pinned(commit: str, path: str, md5: str, name: str) -> bytes:
    """The content of one file of experiment `name`. md5: its hash in the commit's dvc.lock, or empty where unknown.

    Raises InputError where neither the cache nor a remote has it.
    """
    held = cache_folder() / "files/md5" / md5[:2] / md5[2:]
    if md5 and held.is_file():
        return held.read_bytes()
    try:
        with dvc.api.open(path, rev=commit, mode="rb") as file:
            content: bytes = file.read()
            return content
    except (DvcException, OSError) as error:
        raise InputError(
            f"experiment {name}: {path} is neither in the DVC cache nor in a remote ({error}); run it again"
        ) from None


@cache
def cache_folder() -> Path:
    folder = Config(".dvc").get("cache", {}).get("dir")
    return Path(folder) if folder else Path(".dvc/cache")
