"""One of torchrun's processes: goes on with the model of test_training.py, sharded, and stops after each of some steps.

`python -m torch.distributed.run ... -m tests.unit.sharded_run FOLDER STEP ...`
"""

import json
import os
import sys
from pathlib import Path

import torch

from finscale.model.patchtst import PatchTST
from finscale.training import sharding
from finscale.training.interrupt import RunStoppedError
from finscale.training.loop import Trainer
from finscale.training.progress import Epoch
from finscale.training.resume import SavedRun
from tests.unit.test_training import COMPUTE, CONFIG, MODEL, SHAPE, TARGET, TRAIN, VALIDATION


def trainer_of(folder: Path) -> Trainer:
    """Of one process or of several: the same model, without dropout, whose draws differ."""
    config = CONFIG.model_copy(update={"model": MODEL.model_copy(update={"dropout": 0.0})})
    torch.manual_seed(0)
    network = PatchTST(SHAPE, config.model, 2)
    sharding.shard(network, network.layers)
    trainer = Trainer(network, TRAIN, VALIDATION, TARGET, config, COMPUTE, 0)
    trainer.saved = SavedRun(folder, keep=3)
    return trainer


def stopped_after(step: int, trainer: Trainer) -> str:
    """Train until a signal reaches the last process after this step; what the run says then."""
    between, last = trainer._between_steps, sharding.world_size() == 1 or not sharding.is_main()

    def signalled(started: float) -> None:
        if trainer.progress.step == step and last:
            trainer.stop.signal = "SIGTERM"
        between(started)

    trainer._between_steps = signalled
    try:
        trainer.fit(lambda epoch: None)
    except RunStoppedError as stopped:
        return str(stopped)
    raise AssertionError("it was not stopped")


def rest_of(folder: Path) -> list[Epoch]:
    """All epochs of a run that goes on to its end."""
    epochs: list[Epoch] = []
    trainer_of(folder).fit(epochs.append)
    return epochs


def main() -> None:
    folder, told = Path(sys.argv[1]), []
    with sharding.processes(dict(os.environ)):
        for step in sys.argv[2:]:
            trainer = trainer_of(folder / "state")
            told.append(stopped_after(int(step), trainer))
        local = sum(parameter.to_local().numel() for parameter in trainer.model.parameters())
        moments = [state["exp_avg"].to_local().numel() for state in trainer._optimizer.state.values()]
        if sharding.is_main():
            whole = sum(parameter.numel() for parameter in trainer.model.parameters())
            result = {"share": local / whole, "share_of_moments": sum(moments) / whole, "told": told}
            (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
