"""compare: predictions + ledger -> metrics/compare.json

Reads  data/processed/predictions.parquet  every model on the test days, as `evaluate` left them
       metrics/experiment.json             the run's axes and block length
       results/ledger.csv                  how many configurations were tried
       results/settings.json               what each of them had set
Writes metrics/compare.json   pairwise differences, Model Confidence Set, SPA test, number of configurations
Why    the best of many looks good by chance; these tests know how many there were. Apart from `evaluate`, because
       the ledger grows with every run and must not change what a run measured.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import Source, Task, is_binary, load_params
from finscale.evaluation import comparison
from finscale.evaluation.baseline_names import names_of
from finscale.evaluation.config import CompareConfig
from finscale.scaling.ledger import read_ledger
from finscale.scaling.settings import SettingsBlocks, read_settings, resolved, same_settings, settings_of
from finscale.storage import read_json, read_parquet, write_json
from stages.paths import COMPARED, EXPERIMENT, PREDICTIONS

LEDGER = Path("results/ledger.csv")
SETTINGS = Path("results/settings.json")

BENCHMARK = "base_rate"


class Params(SettingsBlocks):
    source: Source
    task: Task
    compare: CompareConfig
    evaluation: dict[str, Any]  # as it stands there, as the blocks are


def compare(test: pd.DataFrame, params: Params, block_length: int, confidence: float) -> dict[str, Any]:
    config, names = params.compare, ["model", *names_of(params.task)]
    losses = comparison.daily_losses(test, names, is_binary(params.task))
    resampling = (block_length, config.resamples)
    return {
        "model_confidence_set": comparison.model_confidence_set(losses, *resampling, config.mcs_size),
        "superior_predictive_ability": comparison.superior_predictive_ability(losses, BENCHMARK, *resampling),
        "differences": comparison.paired_differences(losses, *resampling, confidence),
    }


def configurations_tried(params: Params, axes: dict[str, Any], precision: str) -> dict[str, int]:
    """precision: what this run was trained in."""
    ledger = read_ledger(LEDGER)
    same = same_settings(ledger, read_settings(SETTINGS), resolved(settings_of(params.model_dump()), precision))
    return comparison.configurations_tried(ledger, axes, same)


def main() -> None:
    params = load_params(Params)
    predictions, told = read_parquet(PREDICTIONS), read_json(EXPERIMENT)
    test = predictions[predictions["split"] == "test"]
    block_length, confidence = told["scores"]["block_length"], told["scores"]["confidence"]
    tried = configurations_tried(params, told["axes"], told["compute"]["precision"])
    found = {"configurations": tried} | compare(test, params, block_length, confidence)
    write_json(COMPARED, found)
    best = [name for name, about in found["model_confidence_set"].items() if about["in_set"]]
    spa = found["superior_predictive_ability"]
    print(f"compare: not told from the best: {', '.join(best)}; any better than {BENCHMARK}: p = {spa['p_value']:.3f}")
    print(
        f"compare: {tried['on_these_labels']} configurations were judged by these labels, {tried['in_ledger']} in all"
    )


if __name__ == "__main__":
    run(main)
