"""The code of a result is what decides it: what draws, and the laws fitted to results, change no ledger key."""

import pytest

from finscale.imports import read_sources
from study.experiments import code_hash


@pytest.mark.parametrize(
    ("path", "decides"),
    [
        ("finscale/model/patchtst.py", True),
        ("finscale/evaluation/metrics.py", True),
        ("stages/train.py", True),
        ("finscale/pages/style.py", False),
        ("finscale/pages/templates/page.html.j2", False),
        ("finscale/scaling/laws/power_law.py", False),
        ("finscale/scaling/ledger.py", False),
    ],
)
def test_only_code_that_decides_a_result_is_part_of_its_key(path: str, decides: bool) -> None:
    sources = read_sources()
    edited = code_hash({**sources, path: sources[path] + "\n# edited\n"})
    assert (edited != code_hash(sources)) == decides
