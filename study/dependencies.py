"""dependencies: rewrite the code dependencies in dvc.yaml from what the stages import

Reads  dvc.yaml, stages/, finscale/
Writes dvc.yaml  the .py files and templates under each stage's deps; everything else, comments too, stays as it is
Why    a list of thirty files per stage is for machines to write; tests/invariants checks it.
"""

from pathlib import Path

from ruamel.yaml import YAML

from finscale.cli import run
from finscale.imports import import_closure
from finscale.storage import write_atomically
from study.experiments import read_workspace

PIPELINE = Path("dvc.yaml")


def main() -> None:
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    pipeline = yaml.load(PIPELINE)
    for name, stage in pipeline["stages"].items():
        inputs = [path for path in stage["deps"] if not path.endswith((".py", ".j2"))]
        wanted = inputs + sorted(import_closure(f"stages.{name}", read_workspace))
        if list(stage["deps"]) != wanted:
            print(f"dependencies: {name} changed")
            stage["deps"] = wanted
    write_atomically(PIPELINE, lambda temporary: yaml.dump(pipeline, temporary))


if __name__ == "__main__":
    run(main)
