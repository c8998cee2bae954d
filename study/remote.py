"""remote: push to or pull from the default DVC remote, once it is known to be there

Reads  .dvc/config.local (the remote that docs/disk.md sets up)
Why    DVC creates an absent folder and fills it: with the disk unplugged, a push would land on the
       system disk and look like a backup.
"""

import sys
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from finscale.cli import run
from finscale.errors import InputError
from study.programs import dvc


def repository() -> Repo:
    """This folder's DVC repository. Raises InputError where it is none."""
    try:
        return Repo()
    except DvcException as error:
        raise InputError(f"{Path.cwd()}: {error}; run it in the root of a clone") from None


def default_remote() -> tuple[str, str]:
    """Name and address of the default remote. Raises InputError where there is none."""
    config = repository().config
    name = config["core"].get("remote")
    if not name:
        raise InputError("no DVC remote is set: docs/disk.md has the three lines that do it")
    return name, config["remote"][name]["url"]


def remote_folder() -> Path:
    """The default remote as a folder of this machine."""
    name, url = default_remote()
    if "://" in url:
        raise InputError(f"remote {name} is {url}: a backup is verified by reading it, which needs a folder or a mount")
    return Path(url)


def check_mounted() -> None:
    """Raises InputError where there is no default remote, or its folder is not there."""
    name, url = default_remote()
    if "://" not in url and not Path(url).is_dir():
        raise InputError(
            f"remote {name}: {Path(url).resolve()} is not there; mount the disk and try again (nothing was copied, "
            "nothing has changed)"
        )


def main() -> None:
    if sys.argv[1:] not in (["push"], ["pull"]):
        raise InputError("say `python -m study.remote push` or `pull`")
    check_mounted()
    # The run cache travels along: what a stage has made of the same inputs is not made again elsewhere.
    sys.exit(dvc(sys.argv[1], "--run-cache"))


if __name__ == "__main__":
    run(main)
