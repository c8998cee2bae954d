"""Which curves are judged together: those of real markets, and apart from them controls."""

from pathlib import Path

import pandas as pd
import pytest

from finscale.scaling.fits import fits_of
from finscale.scaling.results import load_experiment_results
from tests.planted_days import write_days
from tests.unit.test_scaling_fits import PILOT, with_losses


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    results = load_experiment_results(Path("results/ledger.csv"))
    return results[results["experiment"] == PILOT].reset_index(drop=True)


def test_curves_are_judged_together(rows: pd.DataFrame, tmp_path: Path) -> None:
    curves = [with_losses(rows, 0.0, f"{place}-curve", place) for place in range(3)]
    for curve in curves:
        write_days(tmp_path, curve)
    fits = fits_of(pd.concat(curves), tmp_path)
    alone = sorted(one.exponent.alpha.p_value for one in fits.values() if one.exponent)
    together = sorted(one.adjusted_p for one in fits.values() if one.adjusted_p is not None)
    assert together[0] == pytest.approx(min(1.0, 3 * alone[0]))
    assert together[1] == pytest.approx(max(together[0], min(1.0, 2 * alone[1])))


def test_controls_are_a_family_of_their_own(rows: pd.DataFrame, tmp_path: Path) -> None:
    """A curve of a real market makes the evidence of a control count for no less, nor the other way round."""
    sources = ["bundled", "bundled", "simulated"]
    curves = [
        with_losses(rows, 0.0, f"{place}-curve", place).assign(source=source) for place, source in enumerate(sources)
    ]
    for curve in curves:
        write_days(tmp_path, curve)
    fits = fits_of(pd.concat(curves), tmp_path)
    apart = fits_of(pd.concat(curves[:2]), tmp_path) | fits_of(curves[2], tmp_path)
    assert {name: one.adjusted_p for name, one in fits.items()} == {name: one.adjusted_p for name, one in apart.items()}
