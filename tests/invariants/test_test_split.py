"""Whatever predicts cannot open a test label, whatever scores opens no test feature, and nobody else opens either."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from finscale.data.dataset import (
    OPEN_TEST_FEATURES,
    OPEN_TEST_LABELS,
    divide,
    feature_names,
    read_development,
    read_test_features,
    read_test_labels,
)
from finscale.data.folds import folder_of_later
from finscale.errors import InputError
from finscale.evaluation.baselines import baseline_predictions
from finscale.evaluation.config import BaselinesConfig
from finscale.pages.dictionary import Origin, generate_data_dictionary
from stages.paths import TEST, TEST_LABELS

READ = "from pathlib import Path; from finscale.data.dataset import {0}; {0}(Path('{1}'))"
FEATURES, LABELS = ("read_test_features", TEST, OPEN_TEST_FEATURES), ("read_test_labels", TEST_LABELS, OPEN_TEST_LABELS)
STAGES = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]


def read_as(caller: str, reader: str, path: Path, folder: Path) -> subprocess.CompletedProcess:
    """Read a test file from a stage made to try, or from no stage: the main module's name is what is looked at."""
    how = ["-c", READ.format(reader, path)]
    if caller:
        package = folder / "stages"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / f"{caller.rpartition('.')[2]}.py").write_text(how[1])
        how = ["-m", caller]
    return subprocess.run(
        [sys.executable, *how], cwd=folder, env={"PYTHONPATH": f"{folder}:{Path.cwd()}"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("read", [read_test_features, read_test_labels])
def test_reading_test_rows_outside_the_stages_is_refused(read: object, tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match=r"only stages\.\w+.* may open test (features|labels), not"):
        read(tmp_path / "test.parquet")


@pytest.mark.parametrize(
    ("caller", "kind"),
    [
        ("", FEATURES),
        ("", LABELS),
        ("stages.train", FEATURES),
        ("stages.trade", LABELS),
        *((stage, FEATURES) for stage in OPEN_TEST_LABELS),
        *((stage, LABELS) for stage in OPEN_TEST_FEATURES),
    ],
)
def test_another_process_is_refused_too(caller: str, kind: tuple[str, Path, tuple[str]], tmp_path: Path) -> None:
    reader, path, allowed = kind
    done = read_as(caller, reader, path, tmp_path)
    assert done.returncode == 1
    assert f"PermissionError: only {' and '.join(allowed)} may open" in done.stderr


@pytest.mark.parametrize("kind", [FEATURES, LABELS])
def test_a_stage_that_may_is_let_in(kind: tuple[str, Path, tuple[str]], tmp_path: Path) -> None:
    reader, path, allowed = kind
    (tmp_path / path.parent).mkdir(parents=True)
    pd.DataFrame({"split": ["test"]}).to_parquet(tmp_path / path)
    done = read_as(allowed[-1], reader, path, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("path", "allowed"), [(TEST, OPEN_TEST_FEATURES), (TEST_LABELS, OPEN_TEST_LABELS)])
def test_no_other_stage_depends_on_a_test_file(path: Path, allowed: tuple[str]) -> None:
    for file, others in ((path, {"dictionary"}), (folder_of_later(path), set())):  # its schema, from the file's footer
        readers = {name for name, stage in STAGES.items() if file.as_posix() in stage["deps"]}
        assert readers == others | {stage.removeprefix("stages.") for stage in allowed}


def test_test_features_hold_no_label_and_labels_no_feature(rows: pd.DataFrame) -> None:
    development, features, labels = divide(rows, pd.Timestamp("2015-12-31"))
    assert set(development["split"]) == {"train", "validation", "calibration", "none"}
    assert "label" not in features
    assert feature_names(features) == feature_names(rows)
    assert not feature_names(labels)
    test = rows[rows["split"] == "test"]
    pd.testing.assert_frame_equal(labels, test[list(labels)])
    assert (features["split"] == "test").sum() == len(test)


def test_a_file_of_test_features_with_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / TEST.parent).mkdir(parents=True)
    pd.DataFrame({"split": ["test"], "label": [1.0]}).to_parquet(tmp_path / TEST)
    done = read_as(OPEN_TEST_FEATURES[0], "read_test_features", TEST, tmp_path)
    assert "holds labels beside the test features; make it again with `dvc repro -f dataset`" in done.stderr


def test_no_baseline_reads_a_label_of_the_rows_that_it_predicts(rows: pd.DataFrame, bars: pd.DataFrame) -> None:
    priced, config = bars.reset_index().assign(asset="SP500"), BaselinesConfig(catboost_iterations=5, seed=0)
    unknown = rows["split"].isin(["calibration", "test"])
    blind = rows.assign(label=rows["label"].mask(unknown))
    found, other = (baseline_predictions(one, priced, "threshold_1pct", config) for one in (rows, blind))
    pd.testing.assert_frame_equal(found, other, check_exact=True)
    assert not found.isna().any(axis=None)


def test_the_dictionary_reads_no_value_of_the_test_split(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    pd.DataFrame({"date": pd.to_datetime(["2018-01-02"]), "label": [0.123456]}).to_parquet(path)
    told = generate_data_dictionary([path], {path.as_posix(): Origin("dataset", [])}, {}, frozenset({path}))
    assert "only stages that predict or score open these rows" in told
    assert "0.123456" not in told
    assert "2018-01-02" not in told
    assert "0.123456" in generate_data_dictionary([path], {path.as_posix(): Origin("d", [])}, {}, frozenset())


def test_development_rows_that_hold_test_rows_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "development.parquet"
    pd.DataFrame({"split": ["train", "test"]}).to_parquet(path)
    with pytest.raises(InputError, match="holds test rows"):
        read_development(path)
