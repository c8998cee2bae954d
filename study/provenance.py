"""Does a result belong to the experiment that it lies in? Read off the experiment's own lock file and records.

An experiment's tree holds the baseline's files for every stage that did not run in it (`dvc exp run ... label`,
`dvc exp save`): a result is there that other settings made. DVC's lock tells: the result is this experiment's if
`evaluate` and all before it are locked with the settings, code and inputs that the tree holds. What a stage records
itself (finscale.identity) tells also what DVC cannot: DVC notes settings when a stage ends, not when it begins.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from finscale.config import flat, parse_yaml
from finscale.identity import check_size, differs_from

RESULT_STAGE = "evaluate"
DRAWING = "finscale/pages/"  # decides no result, and code_hash leaves it out
EXPERIMENT = "metrics/experiment.json"
_REMEDY = "run it to the end (`dvc exp run`), and it is collected"

Read = Callable[[str], str | None]
Locked = Mapping[str, Any]


def why_not(read: Read) -> str | None:
    """Why the result in a commit is none of its own settings, code and data, in words; None where it is."""
    told = json.loads(read(EXPERIMENT) or "{}")
    params = parse_yaml(read("params.yaml") or "{}")
    lock = read_lock(read)
    if RESULT_STAGE not in lock:
        return f"dvc.lock has no stage {RESULT_STAGE}; {_REMEDY}"
    for stage in _with_ancestors(RESULT_STAGE, lock):
        if said := _stale(stage, lock, params, read) or _edited(stage, read):
            return f"{said}; {_REMEDY}"
    for made in (told.get("made_from"), told["run"].get("made_from")):
        if made and (said := differs_from(made, params) or _other_inputs(made, lock)):
            return f"{EXPERIMENT} was made with {said}; run it again"
    try:
        check_size(params["budget"], told["run"]["params_total"])
    except ValueError as error:
        return f"{error}; run it again"
    return None


def read_lock(read: Read) -> dict[str, Locked]:
    """The stages of dvc.lock. The C parser: the file has thousands of lines."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    told = yaml.load(read("dvc.lock") or "{}", Loader=loader) or {}
    return dict(told.get("stages", {}))


def _with_ancestors(stage: str, lock: Mapping[str, Locked]) -> Iterator[str]:
    """A stage and every one whose outputs reach it, as dvc.lock says."""
    made_by = {out["path"]: name for name, one in lock.items() for out in one.get("outs", [])}
    pending, seen = [stage], set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        paths = [dep["path"] for dep in lock[name].get("deps", [])]
        pending += [made_by[own] for path in paths for own in _with_parents(path) if own in made_by]


def _with_parents(path: str) -> list[str]:
    """'data/raw/manifest.csv' -> itself, 'data/raw', 'data': an output may be a folder that holds the dependency."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _stale(stage: str, lock: Mapping[str, Locked], params: Mapping[str, Any], read: Read) -> str | None:
    """What the stage was locked with and the tree has otherwise, in words."""
    now = flat(params)
    for key, value in flat(lock[stage].get("params", {}).get("params.yaml", {})).items():
        if now.get(key) != value:
            return f"{stage} did not run with {key} = {_short(now.get(key))}: dvc.lock has {_short(value)}"
    made = _outputs(lock)
    for dep in lock[stage].get("deps", []):
        current = made.get(dep["path"]) or _md5(read(dep["path"]))
        if current is not None and current != dep.get("md5"):
            return f"{stage} did not run on the {dep['path']} that lies there"
    for out in lock[stage].get("outs", []):
        found = _md5(read(out["path"]))
        if found is not None and found != out.get("md5"):
            return f"{out['path']} is not what {stage} wrote"
    return None


def _edited(stage: str, read: Read) -> str | None:
    """A source file that is not what the stage executed, in words. code/<stage>.md5 has a line `MD5  path` for each.

    DVC hashes finscale/ and stages/ as folders, which no commit's lock can be compared with file by file.
    """
    for line in (read(f"code/{stage}.md5") or "").splitlines():
        md5, _, path = line.partition("  ")
        if not path.startswith(DRAWING) and _md5(read(path)) != md5:
            return f"{stage} did not run with the {path} that lies there"
    return None


def _other_inputs(made: Mapping[str, Any], lock: Mapping[str, Locked]) -> str:
    """An input that is not the one that its stage is locked with, in words; '' where all are. made: identity.made_from.

    Files inside a folder that is one output are not told apart.
    """
    written = _outputs(lock)
    for path, md5 in made.get("inputs", {}).items():
        if written.get(path, md5) != md5:
            return f"another {path} than dvc.lock has"
    return ""


def _outputs(lock: Mapping[str, Locked]) -> dict[str, str | None]:
    """Path -> hash of whatever the stages wrote."""
    return {out["path"]: out.get("md5") for one in lock.values() for out in one.get("outs", [])}


def _short(value: Any) -> str:
    told = json.dumps(value, default=str)
    return told if len(told) <= 80 else f"{told[:77]}..."


def _md5(text: str | None) -> str | None:
    return (
        None if text is None else hashlib.md5(text.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()
    )
