"""Which project files a module really imports: the truth behind `deps` and experiment keys."""

import ast
import re
from collections.abc import Callable

PROJECT_PACKAGES = ("finscale", "stages")
TEMPLATES = "finscale/pages/templates"  # code too: a module that names "x.md.j2" depends on it, and on what it includes

_NAMED = re.compile(r"[\"']([\w.]+\.j2)[\"']")
_INCLUDED = re.compile(r"{%-?\+? *(?:include|import|extends|from) +[\"']([\w.]+)[\"']")


def import_closure(module: str, read: Callable[[str], str | None]) -> dict[str, str]:
    """All project files that importing `module` executes, and the templates that they name, as {path: source}.

    `read` maps a path inside the repository to its text, or None where no such file exists, so
    that the closure can be taken of a working tree as well as of a commit.
    """
    found: dict[str, str] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        located = _locate(name, read)
        if located is None or located[0] in found:
            continue
        path, source = located
        found[path] = source
        package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
        pending += _imported(source, package) + _parents(name)
    for template in [name for source in found.values() for name in _NAMED.findall(source)]:
        _add_template(template, read, found)
    return found


def _add_template(name: str, read: Callable[[str], str | None], found: dict[str, str]) -> None:
    path = f"{TEMPLATES}/{name}"
    source = read(path)
    if source is not None and path not in found:
        found[path] = source
        for included in _INCLUDED.findall(source):
            _add_template(included, read, found)


def _locate(module: str, read: Callable[[str], str | None]) -> tuple[str, str] | None:
    base = module.replace(".", "/")
    for path in (f"{base}.py", f"{base}/__init__.py"):
        source = read(path)
        if source is not None:
            return path, source
    return None


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _imported(source: str, package: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            ancestors = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*ancestors, node.module or ""]).strip(".") if node.level else node.module or ""
            # `from finscale.model import budget` may name a module or an object: try both.
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] in PROJECT_PACKAGES]
