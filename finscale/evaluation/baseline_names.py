"""The names of the baselines, for whoever reads their predictions. finscale/evaluation/baselines.py makes them."""


def names_of(binary: bool) -> tuple[str, ...]:
    """The baselines of a kind of task."""
    own = ("volatility",) if binary else ("zero", "last_return")
    return ("base_rate", "persistence", "logistic", "catboost", *own)
