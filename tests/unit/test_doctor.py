"""make doctor: every finding has its level, and a remedy where one is needed."""

import re

import pytest

from finscale.model.sizes import GIB
from finscale.training.config import ThermalConfig
from study import doctor
from tests.unit.test_training import CONFIG

HOT = CONFIG.model_copy(update={"thermal": ThermalConfig(warning=85)})


@pytest.mark.parametrize(
    ("finding", "status", "told"),
    [
        (doctor.check_disk(50 * GIB, 40 * GIB), "error", "set FINSCALE_SCRATCH to a larger disk"),
        (doctor.check_disk(50 * GIB, 60 * GIB), "warning", "60.0 GiB free"),
        (doctor.check_disk(50 * GIB, 200 * GIB), "ok", "50.0 GiB"),
        (doctor.check_memory(40 * GIB, 2 * 10**9, 32 * GIB), "error", "2B .* takes 40.0 GiB: set train.micro_batch"),
        (doctor.check_packages(["numpy==0.0.1", "no-such-package==1"]), "error", "numpy .* no-such-package missing"),
        (doctor.check_power(False), "warning", "on battery: plug in"),
        (doctor.check_power(None), "ok", "no battery"),
        (doctor.check_temperature(HOT, 90.0), "warning", "90 °C; training pauses at 85"),
        (doctor.check_temperature(HOT, None), "warning", "no sensor can be read"),
        (next(doctor.check_keys({})), "warning", "FRED_API_KEY is not set"),
        (next(doctor.check_keys({"FRED_API_KEY": "x"})), "ok", "FRED_API_KEY is set"),
    ],
)
def test_a_finding_says_how_bad_it_is_and_what_to_do(finding: doctor.Finding, status: str, told: str) -> None:
    assert finding.status == status
    assert re.search(told, finding.told)


def test_only_an_error_makes_it_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("warning", "disk", "little")])
    doctor.main(said.append)
    assert said == ["warning  disk         little"]
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("error", "disk", "full")])
    with pytest.raises(SystemExit):
        doctor.main(said.append)
