"""Which finished runs `study.calibrations` measures together: those that the ledger puts on one curve."""

import numpy as np
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


def test_each_method_is_judged_over_seeds_and_the_days_that_all_runs_share() -> None:
    """One method's loss falls with size, another's does not: the words say which."""
    generator, dates = np.random.default_rng(0), pd.bdate_range("2020-01-02", periods=300)
    rows, days = [], []
    common = generator.normal(scale=0.2, size=300)
    for params in (1e4, 1e5, 1e6, 1e7):
        for seed in range(3):
            level = 0.6 * np.exp(generator.normal(scale=0.003))
            falling = level * (params / 1e4) ** -0.05
            means = dict.fromkeys(calibrations.METHODS, level) | {"temperature": falling}
            losses = {name: mean * (1 + common) for name, mean in means.items()}
            days.append(pd.DataFrame(losses, index=dates).assign(rows=1))
            told = {"params": params, "seed": seed, "horizon": "5", "name": f"{params:.0f}-{seed}"}
            rows.append(told | calibrations.mean_losses(days[-1]))
    runs = pd.DataFrame(rows)
    words = calibrations.verdicts(runs, days).set_index("method")["verdict"]
    assert words["temperature"].startswith("scaling: error falls with size")
    assert not words["none"].startswith(("scaling", "inverse"))
    shifted = [days[0].set_axis(dates + pd.Timedelta(days=1)), *days[1:]]
    with pytest.raises(InputError, match="runs 10000-0 and 10000-1 were tested on different days"):
        calibrations.verdicts(runs, shifted)
