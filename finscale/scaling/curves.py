"""Curves: which runs of a ledger stand together, and what they are called.

A curve holds runs of one set of axes but budget and seed, one set of settings, one market, one state of the raw data
and one version of the code that made them: size alone differs. Its name tells the first three. Where the code or the
data of a curve have more than one version, the newest complete one is shown: that with most sizes, of equals the
newest. Nothing here depends on the order of the rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from finscale.config import ALL
from finscale.identity import SINGLE, study_name
from finscale.scaling.ledger import AXES, market_of
from finscale.scaling.schema import UNKNOWN, moment
from finscale.scaling.settings import PLAIN, PRECISIONS, Settings, difference, in_words, resolved, variant_of

_UNTOLD = {"scheme": (SINGLE,), "symbols": (ALL, ""), "history": (ALL, "")}  # what a name says by saying nothing
VERSION = ("code", "data")
_NOT_PROVEN = "settings unknown (`python -m study.settle` looks for them)"


@dataclass(frozen=True)
class Curve:
    """What a set of axes and settings is called. differs: its settings that are not the plain ones, in words."""

    name: str
    market: str
    variant: str
    differs: str


def name_runs(rows: pd.DataFrame, known: Mapping[str, Settings], free: Sequence[str] = ()) -> pd.DataFrame:
    """Ledger rows, oldest first, with four more columns: experiment, market, variant and differs (see Curve).

    known: settings by digest, and the plain ones. A row whose settings are unknown, or not in `known`, is on a curve of
    its own. free: settings that part no runs here.
    """
    plain = plain_settings(rows, known)
    named = [_curve(row, known.get(row["settings"]), plain, free) for row in rows.to_dict("records")]
    columns = {column: [getattr(one, column) for one in named] for column in ("market", "variant", "differs")}
    told = rows.assign(experiment=[one.name for one in named], **columns)
    return _by_time(told)


def curve_of(
    axes: Mapping[str, Any],
    settings: Settings,
    rows: pd.DataFrame,
    known: Mapping[str, Settings],
    free: Sequence[str] = (),
) -> Curve:
    """The curve of these axes and settings. Of several markets that it was run on, that of the newest run.

    So with a precision of `auto`: what it came to in the newest run, bf16 where there is none.

    rows: the ledger's. free: as of name_runs.
    """
    plain = plain_settings(rows, known)
    told = [difference(resolved(settings, precision), plain, free) for precision in PRECISIONS]
    meant = {variant_of(one): one for one in told}
    study, variant, market = study_name(axes), variant_of(told[0]), ""
    for row in name_runs(rows, known, free).to_dict("records"):
        if study_name(row) == study and row["variant"] in meant:
            market, variant = row["market"], row["variant"]
    return _named(study, market, variant, in_words(meant[variant]))


def plain_settings(rows: pd.DataFrame, known: Mapping[str, Settings]) -> Settings:
    """The settings that names are given by; those that nobody has named yet are the oldest run's that has them."""
    plain = dict(known.get(PLAIN, {}))
    for digest in _by_time(rows)["settings"].drop_duplicates() if len(rows) else ():
        plain = known.get(digest, {}) | plain
    return resolved(plain, PRECISIONS[0])


def versions(named: pd.DataFrame) -> pd.DataFrame:
    """The newest run of each experiment, code, state of the data, budget and seed."""
    return named.drop_duplicates(["experiment", *VERSION, "budget", "seed"], keep="last").reset_index(drop=True)


def shown(runs: pd.DataFrame) -> pd.DataFrame:
    """Of each experiment the newest complete version. runs: of `versions`, or of this."""
    if runs.empty:
        return runs
    parts = [newest_complete(one, ("budget",)) for _, one in runs.groupby("experiment", sort=True)]
    return pd.concat(parts, ignore_index=True)


def newest_complete(runs: pd.DataFrame, varied: Sequence[str]) -> pd.DataFrame:
    """The runs of one code version and, unless data sets are what varies, one state of the data.

    That with most different values of the varied axes; of equals, the one that ran last.
    """
    if {"assets", "quality"} & set(varied):
        runs = _newest_data(runs)
        groups = [one for _, one in runs.groupby("code", sort=True)]
    else:
        groups = [one for _, one in runs.groupby(list(VERSION), sort=True)]
    return max(groups, key=lambda one: (len(one[list(varied)].drop_duplicates()), max(map(moment, one["timestamp"]))))


def other_versions(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """What the ledger holds of each experiment beside the version that is shown, newest first. runs: of `versions`."""
    told = []
    for name, of_name in runs.groupby("experiment", sort=True):
        chosen = newest_complete(of_name, ("budget",))
        others = of_name[~of_name["key"].isin(set(chosen["key"]))]
        for (code, data), one in others.groupby(list(VERSION), sort=False):
            told.append({"experiment": name, "code": code, "data": data, "runs": len(one),
                         "sizes": one["budget"].nunique(), "newest": max(one["timestamp"], key=moment),
                         "shown instead": f"code {chosen['code'].iloc[0]}, {len(chosen)} runs"})  # fmt: skip
    return sorted(told, key=lambda one: (one["experiment"], -moment(one["newest"]).timestamp()))


def groups_varying(runs: pd.DataFrame, varied: tuple[str, ...]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Runs that are equal in settings, code and every axis but seed and the varied ones, each group with its name.

    runs: of `versions`, so that a version which is complete here counts also where it is not on a curve of sizes.
    """
    of_data = {"assets", "quality"} & set(varied)
    fixed = [axis for axis in (*AXES, "scheme", "market", "variant") if axis not in (*varied, "seed")]
    if of_data:
        fixed.remove("market")
    for values, one in runs.groupby(fixed, sort=True):
        told = (str(value) for axis, value in zip(fixed, values, strict=True) if value not in _UNTOLD.get(axis, ("",)))
        yield "-".join(told), newest_complete(one, varied)


def _curve(row: Mapping[str, Any], settings: Settings | None, plain: Settings, free: Sequence[str]) -> Curve:
    market = market_of(row["source"], row["data"])
    if settings is None:
        return _named(study_name(row), market, UNKNOWN, _NOT_PROVEN)
    differs = difference(resolved(settings, row["precision"]), plain, free)
    return _named(study_name(row), market, variant_of(differs), in_words(differs))


def _named(study: str, market: str, variant: str, differs: str) -> Curve:
    return Curve("-".join(part for part in (study, market, variant) if part), market, variant, differs)


def _by_time(rows: pd.DataFrame) -> pd.DataFrame:
    """Oldest first; rows of one second in the order of their keys."""
    order = sorted(range(len(rows)), key=lambda at: (moment(rows["timestamp"].iloc[at]), rows["key"].iloc[at]))
    return rows.iloc[order].reset_index(drop=True)


def _newest_data(runs: pd.DataFrame) -> pd.DataFrame:
    """Of each code version and data set the runs on the state of the data that was used last."""
    kept = []
    for _, one in runs.groupby(["code", "assets", "quality"], sort=True):
        newest = max(zip(map(moment, one["timestamp"]), one["data"], strict=True))[1]
        kept.append(one[one["data"] == newest])
    return pd.concat(kept)
