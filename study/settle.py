"""settle: ledger rows that do not tell their settings -> the settings that their own key proves

Reads  results/ledger.csv, results/settings.json, params.yaml of the commits that the rows name
Writes results/ledger.csv     the column `settings` of those rows: a digest where it is proven, else `unknown`
       results/settings.json  the settings that are proven
Why    a row's key is a hash of all its settings, its code and its data. Its commit's params.yaml with the row's axes,
       or with the settings of another run besides, either gives that very key, and then these were its settings; or
       the row stays on a curve of its own, which is named so.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from finscale.cli import run
from finscale.config import ALL
from finscale.errors import InputError
from finscale.identity import SHARES
from finscale.scaling.ledger import AXES, experiment_key, open_ledger, write_ledger
from finscale.scaling.schema import UNKNOWN
from finscale.scaling.settings import PLAIN, Settings, digest_of, read_settings, settings_of
from study.collect import LEDGER, SETTINGS, locked, write_settings
from study.experiments import committed_params, key_params, overlaid, read_file

Params = dict[str, Any]


def settle(row: Mapping[str, Any], known: Mapping[str, Settings]) -> Settings | None:
    """The settings of one row of the ledger, or None where nothing that was tried gives its key.

    known: settings by digest, which are tried on top of what the row's commit has.
    """
    try:
        committed = committed_params(row["commit"])
    except InputError:  # a commit that this clone does not have
        return None
    for params in _candidates(committed, row, known):
        keyed = key_params(params, row, lambda path: read_file(row["commit"], path))
        if experiment_key(keyed, row["code"], row["data"]) == row["key"]:
            return settings_of(params)
    return None


def _candidates(committed: Params, row: Mapping[str, Any], known: Mapping[str, Settings]) -> Iterator[Params]:
    axes = {axis: row[axis] for axis in AXES if axis in committed}
    axes["seed"] = int(row["seed"])
    axes |= {axis: None if row[axis] == ALL else int(row[axis]) for axis in SHARES if axis in axes}
    if str(row["horizon"]).isdigit():
        axes["horizon"] = int(row["horizon"])
    yield overlaid(committed, axes)
    for digest, settings in known.items():
        if digest != PLAIN:
            try:
                yield overlaid(committed, settings | axes)
            except InputError:  # settings of a later version of the code
                continue


def main() -> None:
    with locked():
        ledger = open_ledger(LEDGER)
        if ledger.faults:
            raise InputError("\n".join(ledger.faults))
        known = read_settings(SETTINGS)
        rows = ledger.rows.copy()
        lost = [at for at in rows.index if rows.loc[at, "settings"] not in known]
        found = {at: settle(rows.loc[at].to_dict(), known) for at in lost}
        proven = {at: settings for at, settings in found.items() if settings is not None}
        for at in lost:
            rows.loc[at, "settings"] = digest_of(proven[at]) if at in proven else UNKNOWN
        write_settings({digest_of(settings): settings for settings in proven.values()})
        write_ledger(LEDGER, rows)
    print(f"settle: {len(lost)} rows did not tell their settings; {len(proven)} are proven by their keys")
    for at in set(lost) - set(proven):
        print(f"settle: {rows.loc[at, 'key']} ({rows.loc[at, 'name']}) stays unknown, on a curve of its own")


if __name__ == "__main__":
    run(main)
