"""Search spaces: what is refused, and that training uses every parameter of the default one."""

from itertools import combinations
from math import ceil
from pathlib import Path

import optuna
import pytest
import torch
import yaml

from finscale.data.windows import Windows
from finscale.errors import InputError
from finscale.model.shape import TOLERANCE, count
from finscale.search.candidate import Candidate, UnbuildableError, make_candidate
from finscale.search.space import KNOWN, Choice, Range, Value, load_search_space
from finscale.training.config import TrainConfig
from finscale.training.initial import initial_model
from finscale.training.loop import Trainer
from tests.unit.test_training import COMPUTE, CONFIG, ROWS, TARGET

DEFAULT = Path("search_spaces/default.yaml")
SPACE = load_search_space(DEFAULT)
RECIPE = load_search_space(Path("search_spaces/recipe.yaml"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("learning_rat: {low: 0.1, high: 0.2}", r"learning_rat is not a known parameter; did you mean learning_rate\?"),
        ("model.depth: {low: 1, high: 2}", r"model\.depth is not a known parameter; did you mean"),
        ("zzz: {low: 1, high: 2}", r"zzz is not a known parameter; known are epochs, "),
        ("threads: {low: 1, high: 2}", r"threads is a setting that training's result does not read.*remove it"),
        ("thermal.warning: {low: 80, high: 85}", r"thermal\.warning is a setting that training's result does not"),
        ("epochs: {low: 20, high: 20}", r"epochs\.low = 20 must be below epochs\.high = 20"),
        ("weight_decay: {low: 0.1, high: 0.01}", r"weight_decay\.low = 0\.1 must be below"),
        ("learning_rate: {low: 1e-5, high: 0.01}", r"learning_rate\.low = '1e-5' is no number; YAML 1\.1 reads"),
        ("learning_rate: {low: 0.0, high: 0.01, log: true}", r"learning_rate\.log needs low above 0"),
        ("epochs: {low: 20, high: 30, step: 20}", r"epochs\.step = 20 does not lead from 20 to 30"),
        ("epochs: {low: 20, high: 30, by: 2}", r"epochs has the unknown key by; known are low, high, step, log"),
        ("epochs: [20, 30]", r"epochs = \[20, 30\]; give \{low: \.\., high: \.\.\} or \{choices"),
        ("batch_size: {choices: [16]}", r"batch_size\.choices = \[16\]; give a list of at least two different"),
        ("batch_size: {choices: [16, 0]}", r"batch_size cannot be 0: Input should be greater than 0"),
        ("model.dropout: {low: 0.0, high: 1.5}", r"model\.dropout cannot be 1\.5: Input should be less than 1"),
        ("model.pooling: {choices: [mean, max]}", r"model\.pooling cannot be 'max'"),
        (
            "warmup_steps: {low: 0, high: 9}\nwarmup_fraction: {low: 0.0, high: 0.1}",
            r"warmup_steps and warmup_fraction set the same thing; keep one",
        ),
        ("{}", r"names no parameter"),
    ],
)
def test_a_wrong_space_is_refused_by_file_and_key(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"mine\.yaml:? {says}"):
        load_search_space(path)


def test_an_absent_space_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: no such file"):
        load_search_space(tmp_path / "none.yaml")


def test_every_setting_of_training_is_either_searchable_or_decides_no_result() -> None:
    unread = {"from_tune", "precision", "device", "threads", "micro_batch", "recompute", "compile", "graphs"}
    blocks = {"model", "checkpoint", "thermal", "tracking", "pretrain"}
    pairs = {"betas"}  # two numbers under one name
    compared_by = {"validate_every", "validation_windows"}  # other ones, and losses of two trials are no match
    assert {name for name in KNOWN if name in TrainConfig.model_fields} == (
        set(TrainConfig.model_fields) - unread - blocks - pairs - compared_by
    )


# --- every parameter is used

# Small enough to train in a moment: the default space's extremes, where the planted data have room for them.
SMALL = {
    "epochs": (2, 3), "warmup_steps": (0, 10), "model.context_length": (12, 16), "model.patch_length": (4, 8),
    "batch_size": (16, 32), "depth_factor": (1.0, 1.5), "width_to_depth": (20.0, 28.0), "model.clip": (0.5, 1.0),
}  # fmt: skip
# Without these a parameter has nothing to act on.
BESIDE: dict[str, dict[str, Value]] = {
    "depth_factor": {"width_to_depth": 20.0}, "model.channel_every": {"model.channel_attention": "separate"},
}  # fmt: skip
BASE = CONFIG.model_copy(update={"epochs": 2, "patience": 100, "learning_rate": 0.01})
BUDGET = 100_000


def run(values: dict[str, Value]) -> tuple[Candidate, dict[str, torch.Tensor], list[float]]:
    """Train a candidate; its weights, and the learning rate after every epoch."""
    length = int(values.get("model.context_length", 16))
    train, validation = (Windows(ROWS, split, length, COMPUTE.device) for split in ("train", "validation"))
    candidate = make_candidate(values, BASE, BUDGET, train.channels, len(train))
    network = initial_model(candidate.shape, candidate.config, BUDGET, train, TARGET, seed=0)
    rates: list[float] = []
    trainer = Trainer(network, train, validation, TARGET, candidate.config, COMPUTE, 0)
    trainer.fit(lambda epoch: rates.append(epoch.learning_rate))
    return candidate, network.state_dict(), rates


SEARCHED = {parameter.name: parameter for space in (RECIPE, SPACE) for parameter in space.parameters}
SEARCHED["model.channel_every"] = Choice("model.channel_every", (1, 2))


@pytest.mark.parametrize("parameter", SEARCHED.values(), ids=SEARCHED)
def test_training_uses_every_parameter_that_a_space_here_varies(parameter: Choice | Range) -> None:
    low, *_, high = SMALL.get(parameter.name, parameter.extremes)
    beside = BESIDE.get(parameter.name, {})
    (_, first, first_rates), (_, second, second_rates) = (
        run(beside | {parameter.name: value}) for value in (low, high)
    )
    same_weights = first.keys() == second.keys() and all(
        first[name].shape == second[name].shape and torch.equal(first[name], second[name]) for name in first
    )
    assert not same_weights or first_rates != second_rates


@pytest.mark.parametrize("name", ["input_norm", "pooling", "channel_attention"])
def test_training_tells_every_choice_of_an_option_apart(name: str) -> None:
    weights = [run({f"model.{name}": value})[1] for value in RECIPE[f"model.{name}"].extremes]
    for one, other in combinations(weights, 2):
        assert one.keys() != other.keys() or any(
            one[key].shape != other[key].shape or not torch.equal(one[key], other[key]) for key in one
        )


def test_warm_up_lasts_the_sampled_steps_and_at_most_half_of_the_run() -> None:
    for steps, epochs, expected in ((100, 20, 100), (1000, 20, 220)):
        config = make_candidate({"warmup_steps": steps, "epochs": epochs}, BASE, BUDGET, 2, 700).config
        total = epochs * ceil(700 / config.batch_size)
        assert round(config.warmup_fraction * total) == expected


@pytest.mark.parametrize("budget", [10_000, 100_000, 1_000_000, 20_000_000])
def test_sampled_shapes_meet_the_budget_within_two_per_cent_and_differ(budget: int) -> None:
    base = TrainConfig.model_validate(yaml.safe_load(Path("params.yaml").read_text())["train"])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    shapes = set()
    for _ in range(80):
        try:
            made = make_candidate(SPACE.sample(study.ask()), base, budget, 20, 3500)
        except UnbuildableError:
            continue
        total = count(made.shape, made.config.model, 20).total
        assert abs(total / budget - 1) <= TOLERANCE
        assert made.shape.d_model % made.shape.n_heads == 0
        shapes.add(made.shape)
    assert len(shapes) >= 10


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"model.context_length": 32, "model.patch_length": 32}, "patch_length must be smaller than context_length"),
        ({"width_to_depth": 1000.0}, "leaves no sensible feed-forward width"),
    ],
)
def test_what_cannot_be_built_says_why(values: dict[str, Value], says: str) -> None:
    with pytest.raises(UnbuildableError, match=says):
        make_candidate(values, BASE, BUDGET, 2, 700)
