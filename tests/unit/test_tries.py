"""How many configurations have been judged by the same labels: the best of many looks good by chance."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from finscale.scaling.ledger import configurations_tried, read_ledger
from finscale.scaling.settings import digest_of, settings_of
from finscale.storage import write_csv, write_json
from stages import trade as stage

AXES = {"source": "bundled", "assets": "A", "quality": "a", "timescale": "daily", "tier": "a20", "task": "direction",
        "horizon": 5, "symbols": "all", "history": "all", "budget": "10K", "seed": 0, "scheme": "single"}  # fmt: skip


def test_configurations_are_counted_from_the_ledger() -> None:
    ledger = pd.DataFrame([AXES | {"seed": seed} for seed in range(3)] + [AXES | {"task": "threshold_1pct"}])
    tried = configurations_tried
    assert tried(ledger, AXES, [True] * 4) == {"in_ledger": 4, "on_these_labels": 3}
    # A run that is not collected yet has looked as well.
    assert tried(ledger, AXES | {"seed": 9}, [True] * 4) == {"in_ledger": 5, "on_these_labels": 4}
    assert tried(ledger.head(0), AXES, []) == {"in_ledger": 1, "on_these_labels": 1}


def test_a_run_that_differs_in_its_settings_alone_is_one_more_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = yaml.safe_load(Path("params.yaml").read_text())
    longer = values | {"train": values["train"] | {"epochs": 1 + values["train"]["epochs"]}}
    usual = settings_of(values)
    measured = read_ledger(Path("results/ledger.csv")).query("budget == '10K'").iloc[0].to_dict()
    own = measured | AXES | {"settings": digest_of(usual)}
    rows = pd.DataFrame([own | {"seed": seed, "key": str(seed)} for seed in range(3)])
    write_csv(tmp_path / "ledger.csv", rows)
    write_json(tmp_path / "settings.json", {digest_of(usual): usual})
    monkeypatch.setattr(stage, "LEDGER", tmp_path / "ledger.csv")
    monkeypatch.setattr(stage, "SETTINGS", tmp_path / "settings.json")
    chosen = [{key: one[key] for key in stage.Params.model_fields} for one in (values, longer)]
    before, after = (stage.tries(stage.Params.model_validate(one), AXES, "bf16") for one in chosen)
    assert before == {"in_ledger": 3, "on_these_labels": 3}
    assert after == {"in_ledger": 4, "on_these_labels": 4}
    other = stage.tries(stage.Params.model_validate(chosen[0]), AXES, "fp32")  # by another machine's auto
    assert other == {"in_ledger": 4, "on_these_labels": 4}
    # Rows from before settings were told apart may have had others: rather one try too many.
    write_csv(tmp_path / "ledger.csv", rows.drop(columns="settings"))
    assert stage.tries(stage.Params.model_validate(chosen[0]), AXES, "bf16")["on_these_labels"] == 4
