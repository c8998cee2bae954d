"""Where an unfinished run keeps what must outlive it: saved states, a study, the mirrors' stores."""

from pathlib import Path


def scratch_folder(environment: dict[str, str], workspace: Path) -> Path:
    """$FINSCALE_SCRATCH, else .dvc/tmp/training of the repository, also from DVC's temporary workspaces.

    DVC runs `--temp` and queued experiments in <repository>/.dvc/tmp/exps/<name>, which goes away with them.
    """
    if folder := environment.get("FINSCALE_SCRATCH"):
        return Path(folder)
    for parent in workspace.parents:
        if parent.parts[-3:] == (".dvc", "tmp", "exps"):
            return parent.parent / "training"
    return workspace / ".dvc/tmp/training"
