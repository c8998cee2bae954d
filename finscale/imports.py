"""Which project files a module really imports: the truth behind code/*.md5 and experiment keys.

What is no module but lies in the folder of an imported package (a template, a table of symbols) belongs to the
package: it is part of whatever imports the package.
"""

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath

PROJECT_PACKAGES = ("finscale", "stages")


def read_sources(root: Path = Path()) -> dict[str, str]:
    """All files of the project's packages in a working tree, as {path: text}."""
    paths = (path for package in PROJECT_PACKAGES for path in sorted((root / package).rglob("*")))
    files = (path for path in paths if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): as_text(path.read_bytes()) for path in files}


def as_text(content: bytes) -> str:
    """With universal newlines: git writes the same commit with other line ends where core.autocrlf is on."""
    return content.decode(errors="surrogateescape").replace("\r\n", "\n").replace("\r", "\n")


def import_closure(module: str, sources: Mapping[str, str]) -> dict[str, str]:
    """All project files that importing `module` executes, and the other files of their packages, as {path: text}.

    `sources` holds the files by their path inside the repository, so that the closure can be taken of a working tree
    as well as of a commit.
    """
    found: dict[str, str] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        path = _locate(name, sources)
        if path is None or path in found:
            continue
        found[path] = sources[path]
        package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
        pending += [*_imported(path, sources[path], package), *_parents(name)]
    packages = {PurePosixPath(path).parent for path in found if path.endswith("__init__.py")}
    return found | {path: text for path, text in sources.items() if _package_of(path, sources) in packages}


def _locate(module: str, sources: Mapping[str, str]) -> str | None:
    base = module.replace(".", "/")
    return next((path for path in (f"{base}.py", f"{base}/__init__.py") if path in sources), None)


def _package_of(path: str, sources: Mapping[str, str]) -> PurePosixPath | None:
    """The package that a file which is no module belongs to: the innermost one around it."""
    if path.endswith(".py"):
        return None
    return next((one for one in PurePosixPath(path).parents if f"{one}/__init__.py" in sources), None)


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


@cache  # the closures of all stages overlap: each file is parsed once
def _imported(path: str, source: str, package: str) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            ancestors = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*ancestors, node.module or ""]).strip(".") if node.level else node.module or ""
            # `from finscale.model import budget` may name a module or an object: try both.
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.split(".")[0] in PROJECT_PACKAGES)
