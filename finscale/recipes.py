"""Recipes: settings of `features` and `train` under a name, in recipes/<name>.yaml.

params.yaml says in full what runs: its values are those of the default recipe, and `-S` puts another value in place of
one of them, as ever. A recipe is such a list of values: what a run had set is told by the values alone.
"""

from pathlib import Path
from typing import Any

from finscale.config import flat, read_yaml
from finscale.errors import InputError

RECIPES = Path("recipes")
BLOCKS = ("features", "train")


def recipe_settings(name: str, folder: Path = RECIPES) -> dict[str, Any]:
    """{dotted key: value} of a recipe. Raises InputError where there is none of that name, or it sets anything else."""
    path = folder / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.yaml"))) or "none"
        raise InputError(f"{path}: no such recipe; there are {known}")
    told = read_yaml(path)
    if other := [block for block in told if block not in BLOCKS]:
        raise InputError(f"{path}: a recipe sets {' and '.join(BLOCKS)}, not {other[0]}; take that out")
    return flat(told)
