"""The pinned packages: all that is installed is pinned, once, and each set holds what it is for."""

import importlib.metadata
import re
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from study.pins import PLATFORMS, PYTHONS, Outcome, table, wanted
from study.requirements import read_pins

SETS = ("requirements.txt", "requirements-tracking.txt", "requirements-dev.txt", "requirements-bench.txt")
CLUSTER = "requirements-cluster.txt"
DISTRIBUTIONS = importlib.metadata.packages_distributions()


def names(file: str) -> set[str]:
    return {canonicalize_name(pin.name) for pin in read_pins(Path(file))}


def test_every_line_pins_one_version_and_each_set_holds_the_one_before() -> None:
    for file in (*SETS, CLUSTER, "requirements-paper.txt"):
        for line in Path(file).read_text().splitlines():
            text = line.partition("#")[0].strip()
            assert not text or text.startswith("-") or re.fullmatch(r"[\w.-]+==[\w.]+( ; .*)?", text), line
    held = [names(file) for file in SETS]
    assert held == sorted(held, key=len)
    assert all(smaller < larger for smaller, larger in pairwise(held))
    assert names("requirements.txt") < names(CLUSTER) < names("requirements-dev.txt")


def test_no_two_sets_pin_different_versions_of_a_package() -> None:
    pinned = [
        (canonicalize_name(pin.name), str(pin.specifier)) for file in (*SETS, CLUSTER) for pin in read_pins(Path(file))
    ]
    assert len(dict(pinned)) == len(set(pinned))


@pytest.mark.parametrize("file", [*SETS[:3], CLUSTER])
def test_what_a_pin_needs_is_pinned_in_the_same_set(file: str) -> None:
    pinned = names(file)
    for pin in read_pins(Path(file)):
        try:
            needs = [Requirement(text) for text in importlib.metadata.requires(pin.name) or []]
        except importlib.metadata.PackageNotFoundError:
            continue  # not installed here, or of another system
        absent = {
            need.name for need in needs
            if (need.marker is None or need.marker.evaluate({"extra": ""}))
            and canonicalize_name(need.name) not in pinned
        }  # fmt: skip
        assert not absent - CUDA, f"{pin}: {absent}"


CUDA = {"cuda-toolkit", "cuda-bindings", "nvidia-cudnn-cu13", "nvidia-cusparselt-cu13", "nvidia-nccl-cu13",
        "nvidia-nvshmem-cu13", "triton"}  # fmt: skip


def test_torch_s_cuda_packages_are_constrained_and_not_installed() -> None:
    assert {canonicalize_name(name) for name in CUDA} < names("constraints-cuda.txt")
    assert not {canonicalize_name(name) for name in CUDA} & names("requirements-bench.txt")


def test_a_run_imports_only_what_its_set_pins() -> None:
    """Trackers are imported when switched on: every other import of the library and the stages is of the run's set."""
    run = names("requirements.txt")
    for folder in ("finscale", "stages"):
        for path in Path(folder).rglob("*.py"):
            for module in re.findall(r"^(?:import|from) (\w+)", path.read_text(), re.MULTILINE):
                for distribution in DISTRIBUTIONS.get(module, []):
                    assert canonicalize_name(distribution) in run, f"{path}: {module}"


def test_windows_gets_its_own_package_and_linux_the_constraints_too() -> None:
    linux, _, mac, windows = (set(wanted(platform, "3.12")) for platform in PLATFORMS)
    assert any(pin.startswith("pywin32==") for pin in windows)
    assert not any(pin.startswith("pywin32==") for pin in linux | mac)
    assert any(pin.startswith("nvidia-cublas==") for pin in linux)
    assert not any(pin.startswith("nvidia-cublas==") for pin in mac | windows)


def test_the_table_names_a_pin_that_needs_a_compiler_and_where() -> None:
    outcomes = {(platform.name, python): Outcome(2) for platform in PLATFORMS for python in ("3.11", "3.12", "3.13")}
    outcomes["Linux aarch64", "3.13"] = Outcome(1, ["slow==1", "pure==2"])
    told = table(outcomes, {"slow==1": False, "pure==2": True})
    assert "| Linux aarch64  | 2 wheels      | 2 wheels      | 1 wheels, 1 pure sdist, 1 to compile |" in told
    assert "- `slow==1` has no wheel and needs a compiler on: Linux aarch64, 3.13." in told
    assert "- `pure==2` has no wheel but a pure source distribution: pip makes the wheel, without a compiler." in told


def test_the_bounds_of_python_agree() -> None:
    assert (PYTHONS[0], PYTHONS[-1]) == ("3.11", "3.13")
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in Path("Makefile").read_text()
    for page in ("README.md", "requirements.txt", "docs/install.md"):
        assert "Python 3.11 to 3.13" in Path(page).read_text(), page
