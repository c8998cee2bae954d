"""Only `evaluate` can open the test split."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from finscale.data.dataset import read_development, read_test
from finscale.errors import InputError
from finscale.pages.dictionary import Origin, generate_data_dictionary

READ = (
    "from pathlib import Path; from finscale.data.dataset import read_test; "
    "read_test(Path('data/processed/test.parquet'))"
)


def test_reading_test_rows_outside_evaluate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match=r"only stages\.evaluate may open the test split"):
        read_test(tmp_path / "test.parquet")


@pytest.mark.parametrize("how", [["-c", READ], ["-m", "stages.train"]])
def test_another_process_is_refused_too(how: list[str], tmp_path: Path) -> None:
    # A stage of the same package, made to try: its module name is what is looked at.
    if how[0] == "-m":
        (tmp_path / "stages").mkdir()
        (tmp_path / "stages" / "__init__.py").touch()
        (tmp_path / "stages" / "train.py").write_text(READ)
    done = subprocess.run(
        [sys.executable, *how], cwd=tmp_path, env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "PermissionError: only stages.evaluate may open the test split" in done.stderr


def test_no_stage_but_evaluate_depends_on_the_test_file() -> None:
    stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    readers = {
        path: [name for name, stage in stages.items() if path in stage["deps"]]
        for path in ("data/processed/test.parquet", "data/processed/test_folds")
    }
    assert readers["data/processed/test.parquet"] == ["dictionary", "evaluate"]  # its schema, from the file's footer
    assert readers["data/processed/test_folds"] == ["evaluate"]


def test_the_dictionary_reads_no_value_of_the_test_split(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    pd.DataFrame({"date": pd.to_datetime(["2018-01-02"]), "label": [0.123456]}).to_parquet(path)
    told = generate_data_dictionary([path], {path.as_posix(): Origin("dataset", [])}, {}, frozenset({path}))
    assert "only `evaluate` opens these rows" in told
    assert "0.123456" not in told
    assert "2018-01-02" not in told
    assert "0.123456" in generate_data_dictionary([path], {path.as_posix(): Origin("d", [])}, {}, frozenset())


def test_development_rows_that_hold_test_rows_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "development.parquet"
    pd.DataFrame({"split": ["train", "test"]}).to_parquet(path)
    with pytest.raises(InputError, match="holds test rows"):
        read_development(path)
