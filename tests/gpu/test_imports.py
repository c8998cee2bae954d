"""tests/gpu, the CUDA bench and what they use of finscale import only what a machine with a GPU has (docs/gpu.md)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = ("finscale", "tests")
THERE = {"torch", "numpy", "pandas", "pyarrow", "safetensors", "transformers", "pytest", "psutil"}
WITH_THEM = {"yaml", "triton"}  # needs of transformers and of PyTorch
CARRIED = {"pydantic": "pydantic", "nvidia-ml-py": "pynvml", "tabulate": "tabulate"}  # requirements-device.txt
NOT_ASKED = {"neuralforecast"}  # a peer that the CUDA bench leaves out
BEGIN = ("tests/gpu/run.py", "tests/gpu/conftest.py", "tests/bench/engine.py", "tests/bench/device_worker.py")


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def needs(begin: list[Path]) -> dict[str, Path]:
    """Packages that are not the project's own, each with a file that imports it."""
    found: dict[str, Path] = {}
    seen, pending = set(), list(begin)
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imported(path):
            package = name.partition(".")[0]
            if package not in OWN:
                found.setdefault(package, path.relative_to(ROOT))
                continue
            module = ROOT / name.replace(".", "/")
            parents = [parent / "__init__.py" for parent in module.parents if ROOT in parent.parents]
            candidates = [module.with_suffix(".py"), module / "__init__.py", *parents]
            pending += [candidate for candidate in candidates if candidate.is_file()]
    return {package: path for package, path in found.items() if package not in sys.stdlib_module_names}


def test_nothing_is_imported_that_such_a_machine_lacks() -> None:
    begin = [*(ROOT / name for name in BEGIN), *(ROOT / "tests/gpu").glob("test_*.py")]
    found = needs(begin)
    allowed = THERE | WITH_THEM | set(CARRIED.values()) | NOT_ASKED
    assert {package: path for package, path in found.items() if package not in allowed} == {}
    assert set(CARRIED.values()) <= set(found)  # nothing is carried in vain
    assert "talib" in needs([ROOT / "finscale/indicators/catalogue.py"])  # and a need would be found


def test_what_must_be_carried_is_listed_with_the_project_s_pins() -> None:
    pins = (ROOT / "requirements.txt").read_text().splitlines()
    carried = [line for line in (ROOT / "requirements-device.txt").read_text().splitlines() if not line.startswith("#")]
    assert set(carried) <= set(pins)
    assert set(CARRIED) <= {line.partition("==")[0] for line in carried}


def test_the_driver_needs_the_standard_library_only() -> None:
    assert needs([ROOT / "tests/gpu/run.py"]) == {}
