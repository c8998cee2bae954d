"""code: stages/, finscale/ -> code/<stage>.md5

Reads  stages/*.py, and what they import of finscale/
Writes code/<stage>.md5  one line per file that the stage executes or that lies in a package of these: MD5 and path
Why    a stage depends on this one file instead of on a list of thirty. An edited file runs this stage and
       the stages whose list it is in; `git diff code` says which, and why.
"""

import hashlib
from pathlib import Path

from finscale.cli import run
from finscale.errors import InputError
from finscale.imports import import_closure, read_sources
from finscale.storage import write_text

STAGES = Path("stages")
LIBRARY = Path("finscale")
CODE = Path("code")


def digests() -> dict[str, str]:
    """Stage -> the text of its digest file, for every script in stages/ that can be run."""
    sources = read_sources()
    names = sorted(path.stem for path in STAGES.glob("*.py") if "\ndef main()" in sources[path.as_posix()])
    return {name: listing(import_closure(f"stages.{name}", sources)) for name in names}


def listing(files: dict[str, str]) -> str:
    """Lines as of md5sum, in order of the paths, of texts with `\\n` at the end of a line."""
    hashes = {
        path: hashlib.md5(text.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()
        for path, text in files.items()
    }
    return "".join(f"{hashes[path]}  {path}\n" for path in sorted(files))


def main() -> None:
    try:
        found = digests()
    except SyntaxError as error:
        raise InputError(f"{error.filename}:{error.lineno}: {error.msg}") from None
    for name, text in found.items():
        write_text(CODE / f"{name}.md5", text)
    for stale in set(CODE.glob("*.md5")) - {CODE / f"{name}.md5" for name in found}:
        stale.unlink()
    print(f"code: what {len(found)} stages execute is listed in {CODE}/")


if __name__ == "__main__":
    run(main)
