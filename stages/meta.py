"""meta: predictions of finished runs + features -> data/processed/meta.parquet

Reads  models/meta.json                 settings, from `configure`; none where `meta.runs` is empty
       results/base_runs/               predictions that `python -m study.base_runs` took out of finished runs
       data/interim/features.parquet    of which `meta.features` may be inputs as well
       data/processed/labels.parquet    the labels of this experiment's task and horizon
Writes data/processed/meta.parquet  date, asset, fold, label, exit, known_until, meta and what it has to beat; no rows
                                    where `meta.runs` is empty, the default: then the stage is off
       metrics/meta.json            loss and skill of each, and the meta-model's difference to each, with intervals
Why    do several models together know more than the best of them? The inputs are files of this commit: experiments go
       away, and a stage that looked for them would find others next year.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from finscale.cli import run
from finscale.config import check_params, is_binary
from finscale.errors import InputError
from finscale.meta.base_runs import BaseRun, read_stored
from finscale.meta.config import MetaParams
from finscale.meta.inputs import Inputs, join
from finscale.meta.made_on import check_made_on, made_on
from finscale.storage import read_json, read_parquet, write_json, write_parquet
from stages.paths import FEATURES, LABELS, META

BASE_RUNS = Path("results/base_runs")
PREDICTIONS = Path("data/processed/meta.parquet")
METRICS = Path("metrics/meta.json")


def read_base_run(name: str, params: MetaParams) -> BaseRun:
    """A run whose source, dates and kind of price are this experiment's. Raises InputError for another one."""
    if not (path := BASE_RUNS / f"{name}.json").exists():
        raise InputError(
            f"{path}: no such file; `python -m study.base_runs {name}` makes it from a finished experiment"
        )
    about, rows = read_stored(BASE_RUNS, name)
    if "made_on" not in about:
        raise InputError(
            f"{BASE_RUNS / name}.json does not say what the run was made on; `python -m study.base_runs {name}` takes "
            "it anew"
        )
    remedy = "take a run made alike into meta.runs, or set params.yaml as the run had it"
    check_made_on(name, about["made_on"], "params.yaml", made_on(params.model_dump()), remedy)
    return BaseRun(name, about["axes"], rows)


def same_label(base: BaseRun, params: MetaParams) -> bool:
    """Whether the run predicts the very label that the meta-model does."""
    return all(str(base.axes[axis]) == str(getattr(params, axis)) for axis in ("timescale", "task", "horizon"))


def meta(inputs: Inputs, rivals: tuple[str, ...], params: MetaParams) -> tuple[pd.DataFrame, dict[str, Any]]:
    from finscale.meta import judgement  # with CatBoost, seconds to import, and most runs have no meta-model
    from finscale.meta.boosting import walk_forward

    binary = is_binary(params.task)
    tested = walk_forward(inputs.rows, inputs.names, rivals, params.meta, binary, params.seed)
    found = judgement.judge(tested, params.horizon, binary, params.evaluate)
    return tested, {"inputs": list(inputs.names), "coverage": inputs.coverage} | found


def write_nothing() -> None:
    write_parquet(PREDICTIONS, pd.DataFrame(columns=["date", "asset", "label", "meta"]))
    write_json(METRICS, {"inputs": []})
    print("meta: off (meta.runs is empty)")


def main() -> None:
    settings = read_json(META)
    if settings is None:
        write_nothing()
        return
    params = check_params(MetaParams, settings, META)
    from finscale.meta.leaks import check_relations

    bases, labels = [read_base_run(name, params) for name in params.meta.runs], read_parquet(LABELS)
    inputs = join(labels, bases, read_parquet(FEATURES), params.meta.features, params.timescale)
    check_relations(inputs.rows, inputs.names, labels, params.meta.leak_auc)
    rivals = tuple(base.name for base in bases if same_label(base, params))
    tested, found = meta(inputs, rivals, params)
    write_parquet(PREDICTIONS, tested)
    write_json(METRICS, found)
    skill = found["models"]["meta"]["skill"]
    print(f"meta: skill {skill['value']:.4f} ({skill['low']:.4f} to {skill['high']:.4f}) on {found['days']} days")
    print("meta: " + "; ".join(f"{word} than {name}" if word in ("better", "worse") else f"{word} to {name}"
                               for name, word in found["verdict"].items()))  # fmt: skip


if __name__ == "__main__":
    run(main)
