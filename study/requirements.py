"""The pins of the requirements files: which packages, of which version, on which platforms."""

from pathlib import Path

from packaging.requirements import Requirement


def read_pins(file: Path) -> list[Requirement]:
    """Every `name==version [; marker]` line of a requirements file and of those that it includes, each once.

    Constraints (`-c`) are left out: they install nothing.
    """
    pins: dict[str, Requirement] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            found = read_pins(file.parent / text.removeprefix("-r ").strip())
        else:
            found = [Requirement(text)] if "==" in text else []
        pins |= {pin.name: pin for pin in found}
    return list(pins.values())
