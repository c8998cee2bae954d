"""Passwords and keys of the environment reach no file, log, page or mirror of a run that has all of them set."""

import secrets

import pytest

from finscale.faults import SECRETS
from tests.pipeline.conftest import Workspace

pytestmark = pytest.mark.xdist_group("finished")


@pytest.mark.slow
def test_a_run_with_all_keys_set_tells_none_of_them(clone: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex(16)  # as long as a hash: no file holds it by chance
    for name in SECRETS:
        monkeypatch.setenv(name, f"{name}-{secret}")
    monkeypatch.setenv("FINSCALE_STUDIES", f"postgresql://me:{secret}@127.0.0.1:1/studies")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{secret}@127.0.0.1:1")
    monkeypatch.delenv("WANDB_API_KEY")  # or W&B's own servers would be asked with it
    clone.set_params(train={"tracking": {"mlflow": True, "wandb": True}})
    told = clone.run("dvc", "repro", "train", "evaluate", "report")
    assert "mlflow failed and is left out" in told
    clone.set_params(tune={"trials": 1})
    told += clone.run("dvc", "repro", "tune", ok=False)
    clone.set_params(tune={"trials": 0, "storage": f"postgresql://me:{secret}@127.0.0.1/studies"})
    refused = clone.run("dvc", "repro", "configure", ok=False)
    assert "tune.storage holds a password" in refused
    assert secret not in told + refused
    (clone.path / "params.yaml").unlink()  # what the user wrote there is the user's
    files = [file for file in clone.path.rglob("*") if file.is_file()]
    assert len(files) > 1000
    assert [file.as_posix() for file in files if secret.encode() in file.read_bytes()] == []
