"""Bad input: one clear message, and what earlier runs have made stays."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.pipeline.conftest import ROOT, Workspace

pytestmark = pytest.mark.xdist_group("finished")

SHORT = yaml.safe_load((ROOT / "params.yaml").read_text())["dataset"]["split"] | {
    "bundled": {
        "train_end": "2013-12-31",
        "calibration_start": "2014-02-03",
        "validation_end": "2015-12-31",
        "test_end": "2018-12-31",
    }
}


def check_stops(clone: Workspace, command: tuple[str, ...], message: str) -> None:
    before = clone.outputs()
    told = clone.run(*command, ok=False)
    assert message in told
    assert "Traceback" not in told
    after = clone.outputs()
    assert set(after) == set(before)
    # A stage before the one that stopped has done its work; what it made before is in DVC's cache.
    assert [path for path in before if after[path] != before[path]] in ([], ["data/processed/labels.parquet"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budgte": "10K"}, "params.yaml: budgte = '10K' is not a known key"),
        ({"dataset": {"split": SHORT}}, "the validation split has 16 rows, fewer than dataset.min_rows.daily = 100"),
        ({"task": "threshold_5pct"}, "positives for task threshold_5pct, fewer than dataset.min_positives = 20"),
        ({"assets": "C"}, "assets = C is not offered by source bundled, which has A = SP500; B = SP500, NASDAQ"),
    ],
    ids=["unknown key", "short split", "few positives", "assets"],
)
def test_a_setting_that_cannot_work_stops_the_run(change: dict, message: str, clone: Workspace) -> None:
    clone.set_params(**change)
    check_stops(clone, ("dvc", "repro"), message)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.drop(index=range(100, 106)), "missing session (1999-05-27, 1999-05-28"),
        (lambda f: f.assign(close=f["close"].where(f.index != 5, -1.0)), "price not above zero (1999-01-11)"),
        (lambda f: f.assign(high=float("nan")), "column has no values at all (high)"),
    ],
    ids=["missing sessions", "negative price", "empty column"],
)
def test_a_bad_raw_file_stops_the_run(spoil: object, message: str, clone: Workspace) -> None:
    path = clone.path / "data/raw/SP500.parquet"
    frame = spoil(pd.read_parquet(path))  # type: ignore[operator]
    path.unlink()  # a link into DVC's cache, which must stay as it is
    frame.to_parquet(path, index=False)
    check_stops(clone, ("python", "-m", "stages.validate"), f"error: data/raw/SP500.parquet: SP500: {message}")


def test_a_file_mended_as_the_error_says_is_read_again(
    clone: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    (mine / "ohlcv").mkdir(parents=True)
    good = pd.read_parquet(clone.path / "data/raw/SP500.parquet")
    good.drop(index=range(100, 106)).to_csv(mine / "ohlcv/SPY.csv", index=False)
    monkeypatch.setenv("FINSCALE_DATA", str(mine))
    clone.set_params(source="directory")
    before = clone.read("reports/validation.md")
    told = clone.run("dvc", "repro", "validate", ok=False)
    assert "error: ohlcv/SPY.csv: SPY: missing session (1999-05-27, 1999-05-28" in told
    assert clone.read("reports/validation.md") == before

    good.to_csv(mine / "ohlcv/SPY.csv", index=False)
    assert "Running stage 'validate'" in clone.run("dvc", "repro", "validate")
    assert str(mine) not in clone.read("dvc.lock") + clone.read("data/inputs.json")

    mine.rename(tmp_path / "elsewhere")
    told = clone.run("dvc", "repro", "download", ok=False)
    assert f"error: params.yaml: data.directory = {mine}: no such folder" in told
    assert (clone.path / "data/raw/SPY.parquet").exists()
    monkeypatch.setenv("FINSCALE_DATA", str(tmp_path / "elsewhere"))
    assert "Running stage 'download'" not in clone.run("dvc", "repro", "download")  # the same content elsewhere
