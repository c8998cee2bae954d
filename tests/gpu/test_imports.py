"""tests/gpu, the CUDA bench and what they use of finscale import only what a machine with a GPU has (docs/gpu.md)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# PyTorch's own needs, and those of the packages that docs/gpu.md asks for, are there with them.
THERE = ("torch", "numpy", "pandas", "pyarrow", "safetensors", "transformers", "pytest", "psutil", "yaml", "tqdm")
CARRIED = {"pydantic": "pydantic", "nvidia-ml-py": "pynvml", "tabulate": "tabulate"}  # requirements-device.txt
ABSENT = ("dvc", "dvclive", "talib", "pandas_ta_classic", "catboost", "sklearn", "scipy", "arch", "mapie", "optuna",
          "mlflow", "wandb", "matplotlib", "exchange_calendars", "yfinance", "statsmodels", "rich", "jinja2_time")  # fmt: skip

# Imports everything with the door shut on the rest; says which module knocked.
_PROBE = """
import importlib, sys
class Shut:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError("shut out: " + name)
sys.meta_path.insert(0, Shut())
for module in {modules}:
    importlib.import_module(module)
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def modules() -> list[str]:
    files = [*sorted((ROOT / "tests/gpu").glob("test_*.py")), ROOT / "tests/gpu/conftest.py", ROOT / "tests/gpu/run.py"]
    names = [path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in files]
    return [name for name in names if name != __name__] + ["tests.bench.device", "tests.bench.contestants"]


def test_nothing_is_imported_that_such_a_machine_lacks() -> None:
    probe = _PROBE.format(absent=set(ABSENT), modules=modules())
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"torch", "finscale", "pydantic"} <= set(done.stdout.split())


def test_what_must_be_carried_is_listed_with_the_project_s_pins() -> None:
    pins = (ROOT / "requirements.txt").read_text().splitlines()
    carried = [line for line in (ROOT / "requirements-device.txt").read_text().splitlines() if not line.startswith("#")]
    assert set(carried) <= set(pins)
    assert set(CARRIED) <= {line.partition("==")[0] for line in carried}
