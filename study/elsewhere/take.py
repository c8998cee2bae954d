"""take: the finished runs of a pack -> experiments of this repository

Reads  DIR/pack.json, DIR/results/   what run.py left there
       the stages up to `dataset`, through DVC: the rows that the results have to be of
Writes an experiment under each run's name: `make collect` puts it into the ledger, with the device that trained it
Why    stages `train` and `predict` take over what the other machine's did, after it was found to be of the same
       settings, code and rows; every other stage runs here as always, `evaluate` with labels that never left. The
       experiment has the device and the precision in its settings, so that it is never mistaken for one trained here.
"""

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from finscale.errors import InputError
from finscale.storage import md5_of, read_json
from finscale.training.elsewhere import RESULT
from stages.paths import MODEL, MODEL_PREDICTIONS
from study.elsewhere.lists import Asked, checked
from study.elsewhere.pack import code_of, name_of
from study.elsewhere.results import Packed, check_files, check_result, differing, read_pack
from study.elsewhere.rows import digests_of, group_of, make_rows
from study.experiments import commits_of
from study.pinned import locked
from study.programs import git
from study.workers import LOGS, Run, reasons, work_off


@dataclass(frozen=True)
class Taken:
    """What became of a pack's runs."""

    recorded: int
    before: int  # that were recorded already
    packed: int

    def __str__(self) -> str:
        told = f"{self.recorded} of {self.packed} runs recorded"
        unfinished = self.packed - self.recorded - self.before
        told += f", {self.before} were before" if self.before else ""
        return told + (f", {unfinished} are not finished" if unfinished else "")


def take(folder: Path, jobs: int) -> Taken:
    """Record every finished run that is no experiment yet.

    Raises InputError for a folder that is no pack, a pack of other code, settings or rows, and results that are not
    whole or not of their run; nothing is recorded then. What fails in a stage is said at the end, and the other runs
    are recorded.
    """
    pack = read_pack(folder)
    asked = _asked(pack, folder)
    results = {name: folder.resolve() / "results" / name for name in asked}
    done = {name: one for name, one in asked.items() if (results[name] / RESULT).exists()}
    for name in done:
        check_files(results[name], name)
    recorded = {name for name, _ in commits_of()}
    new = {name: one for name, one in done.items() if name not in recorded}
    if new:
        _check_results(new, results, pack, folder)
        _record([_as_run(name, one, results[name]) for name, one in new.items()], jobs)
    return Taken(len(new), len(done) - len(new), len(asked))


def _asked(pack: Packed, folder: Path) -> dict[str, Asked]:
    """The runs by name, as this repository has them. Raises InputError where code or settings are others here."""
    code = code_of()
    here = {f"code/{path}": hashlib.sha256(text.encode()).hexdigest() for path, text in code.items()}
    if unlike := differing(pack.files, here, "code/"):
        named = ", ".join(path.removeprefix("code/") for path in unlike[:3]) + (", ..." if len(unlike) > 3 else "")
        raise InputError(
            f"{folder} was packed with other code than lies here ({named}); "
            f"`git checkout {pack.commit}`, where it was packed"
        )
    asked = {name: checked(settings, folder / "pack.json") for name, settings in pack.runs.items()}
    for name, one in asked.items():
        if name_of(one, code, pack.files) != name:
            raise InputError(
                f"{folder}: run {name} was packed with other settings than pack.json and params.yaml give it here; "
                f"put params.yaml back as it was (commit {pack.commit}), or copy the pack back whole"
            )
    return asked


def _check_results(new: dict[str, Asked], results: dict[str, Path], pack: Packed, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        make_rows([one.settings for one in new.values()], Path(made))
        for name, one in new.items():
            group = group_of(one.settings)
            here = {f"inputs/{group}/{path}": digest for path, digest in digests_of(Path(made) / group).items()}
            if unlike := differing(pack.files, here, f"inputs/{group}/"):
                raise InputError(
                    f"{folder}: the rows have changed here since run {name} was packed ({unlike[0]}); "
                    f"put the data back as they were, or pack anew"
                )
            check_result(results[name], one, Path(made) / group)


def _as_run(name: str, asked: Asked, result: Path) -> Run:
    """The experiment that takes this result: its settings, and what `auto` came to mean there."""
    compute = read_json(result / MODEL)["compute"]
    settings = asked.settings | {"train.device": compute["device"], "train.precision": compute["precision"]}
    return Run(name, settings, environment={"FINSCALE_RESULT": str(result)})


def _record(runs: list[Run], jobs: int) -> None:
    """Each as an experiment; where DVC's run cache knows another training of the same settings, without that cache."""
    with ThreadPoolExecutor(jobs) as pool:
        failed = work_off(runs, pool, lambda _: None)
        others = [run for run in runs if run not in failed and not _is_taken(run)]
        failed += work_off([replace(run, forced=True) for run in others], pool, lambda _: None)
    if failed:
        raise InputError(
            f"{len(failed)} of {len(runs)} results could not be recorded; {LOGS} has the logs\n{reasons(failed)}"
        )


def _is_taken(run: Run) -> bool:
    """Whether the experiment has the predictions of the result: DVC knows nothing of the environment that names it."""
    kept = locked(git("show", f"{dict(commits_of())[run.name]}:dvc.lock"), "predict", MODEL_PREDICTIONS.as_posix())
    return kept == md5_of(Path(run.environment["FINSCALE_RESULT"]) / MODEL_PREDICTIONS)
