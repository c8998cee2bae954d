"""Which finished runs `study.calibrations` measures together: those that the ledger puts on one curve."""

import pandas as pd
import pytest

from finscale.errors import InputError
from finscale.scaling.ledger import open_ledger
from study import calibrations
from study.collect import LEDGER
from study.experiments import Finished


def experiments(rows: pd.DataFrame) -> list[Finished]:
    known = calibrations.read_settings(calibrations.SETTINGS)
    return [Finished(row["name"], "0123", row, known[row["settings"]]) for row in rows.to_dict("records")]


def test_runs_of_two_code_versions_and_of_other_settings_are_measured_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = open_ledger(LEDGER).rows
    phase_1 = rows[rows["name"].str.startswith("P1-")]
    assert phase_1["code"].nunique() == 2
    longer = phase_1.head(1).assign(key="longer", settings="346d153a6583", name="P1-longer")
    found = [*experiments(pd.concat([phase_1, rows.head(15)])), *experiments(longer)]
    changed = found[-1].settings | {"train.epochs": 60}
    found[-1] = Finished("P1-longer", "0123", found[-1].row | {"settings": "60"}, changed)
    monkeypatch.setattr(calibrations, "finished", lambda: [*found, Finished("P1-part", "0", left_out="of another")])
    chosen = calibrations.chosen("P1-", "directory")
    curves = chosen.groupby(calibrations.CURVE)
    assert all(one["code"].nunique() == 1 for _, one in curves)
    assert chosen["code"].nunique() == 2
    # The calibration parts no runs, since each is measured; the number of epochs does.
    by_name = chosen.set_index("name")["experiment"]
    assert by_name.drop("P1-longer").nunique() == 1
    assert by_name["P1-longer"] not in set(by_name.drop("P1-longer"))
    with pytest.raises(InputError, match="no finished experiment whose name begins with P9-"):
        calibrations.chosen("P9-", "directory")
