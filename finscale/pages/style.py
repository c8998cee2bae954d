"""One name and one colour for each thing, on every figure and page, in a light and a dark scheme.

Figures (matplotlib) take the light colours. The page names colours by CSS variable ("var(--catboost)"), so that its
charts follow the reader's scheme, and paper, without being drawn again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from finscale.config import Task


@dataclass(frozen=True)
class Look:
    """What a thing is called, and its colour on light and on dark ground (3:1 or more against it)."""

    name: str
    light: str
    dark: str


MODEL = "model"  # the transformer, as predictions and scores call it

# By the names that predictions, scores and the ledger use (finscale/evaluation/baselines.py).
MODELS = {
    MODEL: Look("PatchTST", "#2563eb", "#60a5fa"),
    "base_rate": Look("base rate", "#6b7280", "#9ca3af"),
    "persistence": Look("persistence", "#a16207", "#facc15"),
    "logistic": Look("linear model", "#047857", "#34d399"),  # logistic regression, or ridge
    "catboost": Look("CatBoost", "#c2410c", "#fb923c"),
    "volatility": Look("GARCH", "#7c3aed", "#a78bfa"),
    "garch": Look("GARCH", "#7c3aed", "#a78bfa"),
    "har": Look("HAR-RV", "#0e7490", "#22d3ee"),
    "zero": Look("no return", "#475569", "#cbd5e1"),
    "last_return": Look("last return", "#be185d", "#f472b6"),
}
_OTHERS = (("#4d7c0f", "#a3e635"), ("#9f1239", "#fda4af"), ("#1e40af", "#93c5fd"), ("#78350f", "#fcd34d"))

PARTS = {  # what is no model: splits, kinds of series, methods, accounts
    "train": Look("train", "#6b7280", "#9ca3af"),
    "validation": Look("validation", "#0e7490", "#22d3ee"),
    "test": Look("test", "#be123c", "#fb7185"),
    "prices": Look("prices", "#2563eb", "#60a5fa"),
    "economic": Look("economic", "#047857", "#34d399"),
    "sentiment": Look("sentiment", "#a16207", "#facc15"),
    "trends": Look("trends", "#be123c", "#fb7185"),
    "split": Look("split conformal", "#6b7280", "#9ca3af"),
    "adaptive": Look("adaptive conformal", "#0e7490", "#22d3ee"),
    "buy_and_hold": Look("buy and hold", "#6b7280", "#9ca3af"),
    "long_short": Look("deciles, long less short", "#0e7490", "#22d3ee"),
}

LAWS = {
    "constant": Look("constant", "#6b7280", "#9ca3af"),
    "power law": Look("power law", "#111827", "#f3f4f6"),
    "irreducible loss": Look("law with irreducible loss", "#c2410c", "#fb923c"),
    "broken power law": Look("broken power law", "#7c3aed", "#a78bfa"),
}

GROUND = {  # of pages and figures
    "ink": ("#1f2937", "#e5e7eb"),
    "soft": ("#6b7280", "#9ca3af"),
    "line": ("#e5e7eb", "#374151"),
    "accent": ("#2563eb", "#60a5fa"),
    "paper": ("#ffffff", "#111827"),
    "back": ("#f8fafc", "#030712"),
    "scaling": ("#047857", "#34d399"),
    "inverse": ("#be123c", "#fb7185"),
    "flat": ("#2563eb", "#60a5fa"),
    "undecidable": ("#b45309", "#fbbf24"),
}

INK, SOFT, ACCENT, MUTED = GROUND["ink"][0], GROUND["soft"][0], MODELS[MODEL].light, GROUND["soft"][1]
SERIES = ("#2563eb", "#c2410c", "#047857", "#7c3aed", "#be123c", "#0e7490", "#4b5563", "#a16207")  # budgets, sizes


def look(name: str) -> Look:
    """The look of a model, part or law by the name that tables use; one not listed has a colour of its own."""
    for known in (MODELS, PARTS, LAWS):
        if name in known:
            return known[name]
    light, dark = _OTHERS[crc32(name.encode()) % len(_OTHERS)]
    return Look(name.replace("_", " "), light, dark)


def shown(name: str) -> str:
    """What a model or part is called before people: 'model' -> 'PatchTST', 'volatility' -> 'GARCH'."""
    return look(name).name


def variable(name: str) -> str:
    """A model's or part's colour on the page. Of one not listed: its light colour, which dark ground also bears."""
    if name in GROUND or any(name in known for known in (MODELS, PARTS, LAWS)):
        return f"var(--{name.replace('_', '-').replace(' ', '-')})"
    return look(name).light


def variables(dark: bool) -> dict[str, str]:
    """CSS variable -> colour, in one of the two schemes."""
    looks = {name: (one.light, one.dark) for known in (MODELS, PARTS, LAWS) for name, one in known.items()}
    return {f"--{name.replace('_', '-').replace(' ', '-')}": pair[dark] for name, pair in (looks | GROUND).items()}


@dataclass(frozen=True)
class LossUnit:
    """How a task's losses are told: multiplied by `factor`, with `digits` after the point, in `unit`."""

    unit: str
    factor: float = 1.0
    digits: int = 5

    @property
    def axis(self) -> str:
        return f"test loss ({self.unit})" if self.unit else "test loss"

    def text(self, loss: float) -> str:
        return f"{self.factor * loss:.{self.digits}f}"


def loss_unit(task: str) -> LossUnit:
    """Of a binary task nats; squared returns are of the order of 0.0004, which nobody reads: in (%)² they are 4."""
    if task == "regression":
        return LossUnit("squared error, %²", 1e4, 4)
    if task == "volatility":
        return LossUnit("squared error of log volatility")
    return LossUnit("nats")


def task_words(task: Task | str, horizon: int | str) -> str:
    """What is foretold: 'a rise of more than 1 % within 5 bars'."""
    bars = {"1": "the next bar", "weekly": "a week"}.get(str(horizon), f"{horizon} bars")
    if task.startswith("threshold_"):
        return f"a rise of more than {task.removeprefix('threshold_').removesuffix('pct')} % over {bars}"
    words = {"direction": "up or down over", "regression": "the return over", "volatility": "the volatility over",
             "surprise": "a move of more than one standard deviation over"}  # fmt: skip
    return f"{words.get(task, task.replace('_', ' ') + ' over')} {bars}"


def alpha_text(fit: Mapping[str, Any]) -> str:
    """'0.0123 (0.0100 to 0.0150)', and where the interval leaves out the days ', seeds only'.

    fit: alpha, alpha_low, alpha_high, covers.
    """
    beside = ", seeds only" if fit["covers"] == "seeds" else ""
    return f"{fit['alpha']:.4f} ({fit['alpha_low']:.4f} to {fit['alpha_high']:.4f}{beside})"


def percent(confidence: float) -> str:
    """0.95 -> '95 %', 0.999 -> '99.9 %'."""
    return f"{100 * confidence:.4g} %"
