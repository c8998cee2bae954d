"""One of torchrun's processes: trains the model of test_training.py sharded, and writes the losses it saw."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from finscale.model.patchtst import PatchTST
from finscale.training import sharding
from finscale.training.interrupt import RunStoppedError
from finscale.training.loop import Trainer
from finscale.training.progress import Epoch
from finscale.training.resume import SavedRun
from tests.unit.test_training import COMPUTE, CONFIG, MODEL, SHAPE, TARGET, TRAIN, VALIDATION

STOP_AFTER = 20


def run(folder: Path, epochs: list[Epoch], stop: bool) -> Trainer:
    config = CONFIG.model_copy(update={"model": MODEL.model_copy(update={"dropout": 0.0})})
    torch.manual_seed(0)
    network = PatchTST(SHAPE, config.model, 2)
    sharding.shard(network, network.layers)
    trainer = Trainer(network, TRAIN, VALIDATION, TARGET, config, COMPUTE, 0)
    trainer.saved = SavedRun(folder, keep=3)
    if stop:  # as a signal to one process would
        between = trainer._between_steps

        def signalled(started: float) -> None:
            if trainer.progress.step == STOP_AFTER and not sharding.is_main():
                trainer.stop.signal = "SIGTERM"
            between(started)

        trainer._between_steps = signalled
    trainer.fit(epochs.append)
    return trainer


def main() -> None:
    folder, epochs = Path(sys.argv[1]), []
    with sharding.processes(dict(os.environ)):
        try:
            run(folder / "state", [], stop=True)
        except RunStoppedError as stopped:
            told = str(stopped)
        trainer = run(folder / "state", epochs, stop=False)
        local = sum(parameter.to_local().numel() for parameter in trainer.model.parameters())
        if sharding.is_main():
            whole = sum(parameter.numel() for parameter in trainer.model.parameters())
            result = {"epochs": [asdict(epoch) for epoch in epochs], "share": local / whole, "told": told}
            (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
