"""configure: params.yaml -> what the stages do that depends on more than settings, or one clear error

Reads  params.yaml
       the source's files or stored answers on this machine, by size, times and, where these are new, content
       universes/          the symbols of the universe that `assets` names (finscale/sources/universes.py)
Writes data/inputs.json    these symbols, and what `download` will read, by content (finscale/sources/inputs.py)
       models/search.json  what `tune` searches for; no settings where `tune.trials` is 0, so that it has nothing to do
       models/meta.json    what `meta` learns from, likewise: null where `meta.runs` is empty
Why    every stage checks its own keys; this one checks the whole file, so that a misspelt key, which no stage would
       read, cannot be ignored in silence. It runs every time: DVC sees no file outside the repository.
"""

import os
from pathlib import Path
from typing import Any

from finscale.cli import run
from finscale.config import Axes, check_params, read_yaml
from finscale.data.config import DatasetConfig, EvaluationConfig, LabelConfig, UniverseConfig
from finscale.evaluation.config import BaselinesConfig, CalibrateConfig, CompareConfig, EvaluateConfig, TradeConfig
from finscale.indicators.config import FeaturesConfig
from finscale.meta.config import MetaConfig, MetaParams
from finscale.search.config import SearchParams, TuneConfig
from finscale.sources.config import DataConfig
from finscale.sources.inputs import HashMemo, inputs_of
from finscale.sources.universes import members
from finscale.storage import write_json
from finscale.training.config import TrainConfig
from finscale.training.scratch import scratch_folder
from stages.paths import INPUTS, META, SEARCH

PARAMS = Path("params.yaml")
UNIVERSES = Path("universes")


class Params(Axes):
    """All of params.yaml: the axes, then one block per stage."""

    universe: UniverseConfig
    data: DataConfig
    features: FeaturesConfig
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


def inputs(params: Params) -> dict[str, Any]:
    memo = HashMemo(scratch_folder(dict(os.environ), Path.cwd()) / "input_hashes.json")
    data = params.data.expanded()
    quality = params.features.needed(params.quality)
    universe = members(params.source, params.assets, quality, data, UNIVERSES)
    found = inputs_of(params.source, universe, quality, data, memo)
    memo.save()
    return {"universe": universe.model_dump(), "quality": quality, "holes": params.universe.holes, **found}


def search(params: Params, values: dict[str, Any]) -> dict[str, Any]:
    """values: params.yaml as it stands."""
    settings = {key: values[key] for key in SearchParams.model_fields} if params.tune.trials else None
    return {"space": params.tune.space, "settings": settings}


def meta(values: dict[str, Any]) -> dict[str, Any] | None:
    """values: params.yaml as it stands, and valid."""
    if not values["meta"]["runs"]:
        return None
    return MetaParams.model_validate({key: values[key] for key in MetaParams.model_fields}).model_dump(mode="json")


def main() -> None:
    values = read_yaml(PARAMS)
    params = check_params(Params, values, PARAMS)
    write_json(INPUTS, inputs(params))
    write_json(SEARCH, search(params, values))
    write_json(META, meta(values))
    print(f"configure: {len(type(params).model_fields)} keys of {PARAMS} are valid")


if __name__ == "__main__":
    run(main)
