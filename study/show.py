"""show: `dvc exp show`, without what does not vary

Reads  DVC's experiments of this commit and all others
Why    parameters that are the same everywhere and the metrics of the data crowd out the result.
"""

import subprocess
import sys

HIDDEN = ("Created", "train.*", "loss", "learning_rate", "step", "SP500.*", "NASDAQ.*", ".*first", ".*last", "alpha.*")
COMMAND = [
    "dvc", "exp", "show", "--all-commits", "--only-changed", "--hide-workspace", "--sort-by", "test_loss",
    "--drop", "|".join(HIDDEN),
]  # fmt: skip


def main() -> None:
    sys.exit(subprocess.run(COMMAND, check=False).returncode)


if __name__ == "__main__":
    main()
