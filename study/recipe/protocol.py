"""The protocol as data: which recipes are compared, on which rows, in which rounds (study/recipe/protocol.yaml)."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from finscale.config import Block, check_params, flat, parse_yaml, read_yaml
from finscale.errors import InputError
from finscale.recipes import recipe_settings
from study.experiments import overlaid

PROTOCOL = Path(__file__).with_name("protocol.yaml")
AUTHOR = "author"  # every candidate is this recipe with changes
BASELINES = "baselines"  # in place of a candidate: what has to be beaten, on the same rows

Measure = Literal["share", "skill", "noise"]
Settings = dict[str, Any]


class Round(Block):
    stage: Literal["A", "B"]
    candidates: list[str]
    data: list[str]
    seeds: list[int]
    budgets: list[str] = Field(default=["10K"])
    against: str = ""  # the candidate that the others vary, one factor at a time
    final: bool = False  # whether finalists meet here: what the decision is over


class Protocol(Block):
    candidates: dict[str, Settings]
    data: dict[str, Settings]
    rounds: dict[str, Round]
    finalists: list[str] = Field(default=["author", "base"])  # what is decided between
    beside: list[str] = Field(default=[])  # candidates that are shown with them
    told_only: list[str] = Field(default=[])  # data sets that decide nothing

    def recipe(self, candidate: str) -> Settings:
        """A candidate's settings in full, by dotted key."""
        return recipe_settings(AUTHOR) | inherited(self.candidates, candidate)

    def changes(self, candidate: str, other: str = AUTHOR) -> Settings:
        """What a candidate sets otherwise than another, the author's recipe by default."""
        author = flat(self.recipe(other))
        return {key: value for key, value in flat(self.recipe(candidate)).items() if author.get(key) != value}


@dataclass(frozen=True)
class Run:
    """A candidate trained and measured once: what names a row of the table."""

    candidate: str
    data: str
    budget: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.candidate}_{self.data}_{self.budget}_{self.seed}"


@dataclass(frozen=True)
class Planned:
    """A run with what it takes.

    settings: the protocol's, by dotted key; params: params.yaml with them. windows: training windows of all folds, as
    expected.
    """

    run: Run
    measure: Measure
    settings: Settings
    params: Mapping[str, Any]
    windows: int

    @property
    def digest(self) -> str:
        """12 digits that stand for its settings: a run of others is another one, whatever it is called."""
        return hashlib.sha256(json.dumps(flat(self.settings), sort_keys=True).encode()).hexdigest()[:12]


def load_protocol(path: Path = PROTOCOL) -> Protocol:
    """Raises InputError for a key that is not known, and for a name that a round or `of` uses and nothing has."""
    protocol = check_params(Protocol, read_yaml(path), path)
    for number, one in protocol.rounds.items():
        known = {"candidate": {*protocol.candidates, BASELINES}, "data set": set(protocol.data)}
        for kind, names in (("candidate", one.candidates), ("data set", one.data)):
            if unknown := [name for name in names if name not in known[kind]]:
                raise InputError(f"{path}: round {number} names the {kind} {unknown[0]!r}, which is not defined there")
    for table in (protocol.candidates, protocol.data):
        for name in table:
            inherited(table, name)
    return protocol


def inherited(table: Mapping[str, Settings], name: str) -> Settings:
    """The settings of one entry with those of all that it goes on from."""
    if name not in table:
        raise InputError(f"{PROTOCOL}: {name!r} is named and not defined")
    own = dict(table[name])
    before = inherited(table, own.pop("of")) if "of" in own else {}
    return before | own


def horizon_of(protocol: Protocol, data: str) -> int:
    return int(inherited(protocol.data, data)["horizon"])


def planned(protocol: Protocol, rounds: list[str]) -> Iterator[Planned]:
    """The runs of these rounds in order: seed after seed, so that what is stopped early is balanced."""
    params = parse_yaml(Path("params.yaml").read_text(encoding="utf-8"))
    seen: set[Run] = set()
    for number in rounds:
        one = protocol.rounds[number]
        for seed, budget, data, candidate in product(one.seeds, one.budgets, one.data, one.candidates):
            run = Run(candidate, data, budget, seed)
            if run not in seen:
                seen.add(run)
                yield plan(protocol, params, run)


def plan(protocol: Protocol, params: Mapping[str, Any], run: Run) -> Planned:
    """One run with its settings: params.yaml, the recipe's, the data set's, budget and seed, in this order."""
    rows = inherited(protocol.data, run.data)
    measure, windows = rows.pop("measure"), rows.pop("windows")
    recipe = protocol.recipe(AUTHOR if run.candidate == BASELINES else run.candidate)
    settings = recipe | rows | {"budget": run.budget, "seed": run.seed}
    if rows.get("source") == "simulated":
        settings["data.simulated.seed"] = run.seed
    return Planned(run, measure, settings, overlaid(params, settings), windows)
