"""The map of the house: every folder and module says in one line what it is."""

from pathlib import Path

import pytest

from finscale.errors import InputError
from study.map import WIDTH, first_line, lines, rooms

CODE = [Path(folder) for folder in ("stages", "finscale", "study", "tests")]
MODULES = sorted(path for folder in CODE for path in folder.rglob("*.py"))


def fault(path: Path) -> str:
    """What is wrong with the first line of a module, '' where nothing is."""
    line, file = first_line(path), path.read_text(encoding="utf-8").splitlines()
    if not line or not file[0].startswith(f'"""{line}'):
        return "does not begin with a docstring"
    if len(file[0]) > WIDTH:
        return f"has a first line of more than {WIDTH} columns"
    if not file[0].endswith('"""') and file[1]:
        return "has a first sentence that goes on in the second line"
    # A sentence, the head of a list, or a command as `name: what it takes -> what it makes`.
    return "" if line.endswith((".", "?", ":")) or ": " in line else "has a first line that is no sentence"


def test_every_module_says_in_its_first_line_what_it_is() -> None:
    assert [f"{path} {said}" for path in MODULES if (said := fault(path))] == []


def test_every_folder_with_modules_is_a_room_and_every_module_is_on_the_map() -> None:
    shown = {f"{room.as_posix()}/": list(lines(room)) for top in CODE for room in rooms(top)}
    assert set(shown) == {f"{path.parent.as_posix()}/" for path in MODULES}
    for path in MODULES:
        told = shown[f"{path.parent.as_posix()}/"]
        assert all(len(line) <= WIDTH for line in told)
        assert path.name == "__init__.py" or any(line.startswith(f"    {path.stem} ") for line in told), path


def test_a_folder_without_modules_is_named() -> None:
    with pytest.raises(InputError, match=r"docs: no folder of modules \(it has no __init__.py\); there are stages"):
        list(rooms(Path("docs")))
