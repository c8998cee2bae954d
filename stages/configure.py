"""configure: params.yaml -> nothing, or one clear error

Reads  params.yaml
Why    every stage checks its own keys; this one checks the whole file, so that a misspelt key, which
       no stage would read, cannot be ignored in silence.
"""

from pathlib import Path

from finscale.cli import run
from finscale.config import Axes, check_params, read_yaml
from finscale.data.dataset import DatasetConfig
from finscale.data.labels import LabelConfig
from finscale.data.walk_forward import EvaluationConfig
from finscale.evaluation.config import BaselinesConfig, CalibrateConfig, CompareConfig, EvaluateConfig, TradeConfig
from finscale.meta.config import MetaConfig
from finscale.search.config import TuneConfig
from finscale.sources.config import DataConfig
from finscale.training.config import TrainConfig

PARAMS = Path("params.yaml")


class Params(Axes):
    """All of params.yaml: the axes, then one block per stage."""

    data: DataConfig
    label: LabelConfig
    dataset: DatasetConfig
    evaluation: EvaluationConfig
    baselines: BaselinesConfig
    tune: TuneConfig
    train: TrainConfig
    calibrate: CalibrateConfig
    evaluate: EvaluateConfig
    compare: CompareConfig
    trade: TradeConfig
    meta: MetaConfig


def configure() -> Params:
    return check_params(Params, read_yaml(PARAMS), PARAMS)


def main() -> None:
    params = configure()
    print(f"configure: {len(type(params).model_fields)} keys of {PARAMS} are valid")


if __name__ == "__main__":
    run(main)
