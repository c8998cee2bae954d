"""The search beside other programs: its trials in a tracker, its study in a database."""

import importlib.util
from pathlib import Path

import pytest

from finscale.errors import InputError
from finscale.search.objective import Problem, create_objective
from finscale.search.study import create_study, run_hpo, storage_url
from finscale.training.config import TrackingConfig
from tests.unit.search_run import BASE, BUDGET, SPACE, config
from tests.unit.test_training import COMPUTE, ROWS


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_sees_every_trial_with_its_values_and_its_curve(tmp_path: Path) -> None:
    base = BASE.model_copy(update={"epochs": 2, "tracking": TrackingConfig(mlflow=True)})
    study = create_study("planted", tmp_path, config(2))
    made = create_objective(SPACE, Problem(ROWS, base, BUDGET, True, (0,), COMPUTE), tmp_path, tmp_path / "mirrors")
    run_hpo(study, made, config(2), tmp_path)
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mirrors/mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("finscale").experiment_id])
    seen = {int(run.data.params["trial"]): run for run in runs}
    for trial in study.trials:
        curve = client.get_metric_history(seen[trial.number].info.run_id, "validation/loss")
        assert [point.value for point in curve] == list(trial.intermediate_values.values())
        assert float(seen[trial.number].data.params["learning_rate"]) == trial.params["learning_rate"]


def test_a_database_that_cannot_be_used_is_named_without_its_password(tmp_path: Path) -> None:
    assert storage_url(config(1, storage="sqlite:///x"), {"FINSCALE_STUDIES": "sqlite:///y"}) == "sqlite:///y"
    assert storage_url(config(1), {}) is None
    with pytest.raises(InputError, match=r"no study can be kept in host/db") as raised:
        create_study("planted", tmp_path, config(1), "nonsense://me:secret@host/db")
    assert "secret" not in str(raised.value)
