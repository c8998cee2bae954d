"""pins: does every pin install on every platform, with every Python?

Reads  requirements*.txt, constraints-cuda.txt, and what the package registry offers (through pip, nothing is installed)
Writes docs/install.md  the table between its two marks
Why    a pin without a wheel asks for a compiler, on a machine that nobody here has. A pin is fine where pip finds a
       wheel, or where its source distribution builds into one wheel for all platforms.
"""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from tabulate import tabulate

from finscale.cli import run
from finscale.errors import InputError
from finscale.storage import write_text
from study.requirements import read_pins

PAGE = Path("docs/install.md")
REQUIREMENTS = (Path("requirements-bench.txt"), Path("constraints-cuda.txt"))  # the first includes all others
PYTHONS = ("3.11", "3.12", "3.13")
_BEGIN, _END = "<!-- made by `make pins` -->\n", "<!-- end -->\n"
_REFUSED = re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)==")


@dataclass(frozen=True)
class Platform:
    """A kind of machine: pip's tags for it, best first, and what requirement markers see there."""

    name: str
    tags: tuple[str, ...]
    markers: dict[str, str]


@dataclass
class Outcome:
    """What pip says of all pins on one platform with one Python."""

    wheels: int
    without: list[str] = field(default_factory=list)  # pins that have no wheel there


def _linux(machine: str) -> Platform:
    # glibc 2.28: RHEL 8, Debian 10, Ubuntu 20.04 and later
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1)] + [f"manylinux2014_{machine}"]
    if machine == "x86_64":
        tags += ["manylinux2010_x86_64", "manylinux1_x86_64"]
    return Platform(f"Linux {machine}", tuple(tags), _markers("linux", "Linux", machine))


def _markers(system: str, name: str, machine: str) -> dict[str, str]:
    return {
        "sys_platform": system, "platform_system": name, "platform_machine": machine,
        "os_name": "nt" if name == "Windows" else "posix",
    }  # fmt: skip


PLATFORMS = (
    _linux("x86_64"),
    _linux("aarch64"),
    Platform("macOS arm64", ("macosx_14_0_arm64",), _markers("darwin", "Darwin", "arm64")),
    Platform("Windows x86-64", ("win_amd64",), _markers("win32", "Windows", "AMD64")),
)


def wanted(platform: Platform, python: str) -> list[str]:
    """`name==version` of the pins that this platform and Python install."""
    seen = platform.markers | {"python_version": python, "python_full_version": f"{python}.0"}
    pins = [pin for file in REQUIREMENTS for pin in read_pins(file)]
    if platform.markers["sys_platform"] != "linux":
        pins = read_pins(REQUIREMENTS[0])  # torch brings CUDA on Linux only
    return [f"{pin.name}{pin.specifier}" for pin in pins if _applies(pin, seen)]


def _applies(pin: Requirement, seen: dict[str, str]) -> bool:
    return pin.marker is None or pin.marker.evaluate(dict(seen))


def ask(platform: Platform, python: str) -> Outcome:
    """Have pip look for a wheel of every pin; those that it refuses are named and left out until the rest is found."""
    pins, without = wanted(platform, python), list[str]()
    while refused := _first_refused(pins, platform, python):
        without.append(refused)
        pins.remove(refused)
    return Outcome(len(pins), without)


def _first_refused(pins: list[str], platform: Platform, python: str) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "pins.txt"
        listed.write_text("\n".join(pins), encoding="utf-8")
        tags = [word for tag in platform.tags for word in ("--platform", tag)]
        done = _pip(
            "install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:", *tags,
            "--python-version", python, "--target", str(Path(folder) / "none"), "-r", str(listed),
        )  # fmt: skip
    if done.returncode == 0:
        return None
    if not (named := _REFUSED.search(done.stderr)):
        raise InputError(f"pip could not look up the pins: {done.stderr.strip().splitlines()[-1]}; try again")
    return next(pin for pin in pins if pin.startswith(f"{named[1]}=="))


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, env=dict(os.environ)
    )


def is_pure(pin: str) -> bool:
    """Whether a source distribution builds into a wheel for every platform."""
    with tempfile.TemporaryDirectory() as folder:
        name = pin.partition("==")[0]
        done = _pip("wheel", "--no-deps", "--no-cache-dir", "--no-binary", name, "--wheel-dir", folder, pin)
        return done.returncode == 0 and all(path.stem.endswith("-none-any") for path in Path(folder).glob("*.whl"))


def table(outcomes: dict[tuple[str, str], Outcome], pure: dict[str, bool]) -> str:
    """One row per platform, one column per Python, and a line for each pin that has no wheel somewhere."""
    rows = [
        [platform.name, *(_told(outcomes[platform.name, python], pure) for python in PYTHONS)] for platform in PLATFORMS
    ]
    lines = [tabulate(rows, ["platform", *(f"Python {python}" for python in PYTHONS)], tablefmt="github"), ""]
    for pin in sorted(pure):
        where = [f"{name}, {python}" for (name, python), found in outcomes.items() if pin in found.without]
        if pure[pin]:
            lines.append(
                f"- `{pin}` has no wheel but a pure source distribution: pip makes the wheel, without a compiler."
            )
        else:
            lines.append(f"- `{pin}` has no wheel and needs a compiler on: {'; '.join(where)}.")
    return "\n".join(lines) + "\n"


def _told(found: Outcome, pure: dict[str, bool]) -> str:
    parts = [f"{found.wheels} wheels"]
    for count, word in (
        (sum(pure[pin] for pin in found.without), "pure sdist"),
        (sum(not pure[pin] for pin in found.without), "to compile"),
    ):
        if count:
            parts.append(f"{count} {word}")
    return ", ".join(parts)


def around_the_table() -> tuple[str, str]:
    """The page before and after the table. Raises InputError where its marks are gone."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise InputError(f"{PAGE}: the marks {_BEGIN.strip()} and {_END.strip()} are gone; put them back")
    return before + begin, end + after


def main() -> None:
    around_the_table()
    outcomes = {}
    for platform in PLATFORMS:
        for python in PYTHONS:
            outcomes[platform.name, python] = found = ask(platform, python)
            print(f"{platform.name}, Python {python}: {found.wheels} wheels; without one: {found.without}", flush=True)
    pure = {pin: is_pure(pin) for pin in sorted({pin for found in outcomes.values() for pin in found.without})}
    before, after = around_the_table()  # it may have been edited in these minutes
    write_text(PAGE, f"{before}\n{table(outcomes, pure)}\n{after}")
    if not all(pure.values()):
        sys.exit(f"pins that need a compiler somewhere: {', '.join(pin for pin in pure if not pure[pin])}; see {PAGE}")


if __name__ == "__main__":
    run(main)
