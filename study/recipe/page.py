"""docs/recipe.md and its figure: every number and word that can be computed from the table is."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from finscale.pages.figure import panels, save
from finscale.pages.render import Rows, render
from finscale.pages.style import MUTED, SERIES
from finscale.scaling.laws.contrast import Estimate
from study.recipe.choice import Paired, Standing, decide, loss_against, paired, standings, student
from study.recipe.protocol import AUTHOR, BASELINES, Protocol, Round, horizon_of
from study.recipe.table import DAILY

PAGE = Path("docs/recipe.md")
FIGURE = Path("docs/recipe.png")
VOLATILITY = "panel-volatility"
RELATIVE = "panel-relative"  # the same rows with scale-free features, for baselines
GOALS = {"straight-2418": 0.8, "turning-2418": 0.4}
_RIVALS = ("catboost", "har", "volatility", "garch", "logistic")


def write(rows: pd.DataFrame, protocol: Protocol, page: Path = PAGE, figure: Path = FIGURE) -> str:
    """Write both; returns the outcome in a line."""
    told = judged(rows, protocol)
    chosen = decide(told) if told else None
    factors = {
        name: factor_rows(rows, one, protocol)
        for name, one in protocol.rounds.items()
        if one.against and one.budgets == ["10K"]
    }
    text = render(
        "recipe.md.j2",
        chosen=chosen, changes=in_words(protocol, chosen.candidate) if chosen else "",
        standings=[standing_row(one, protocol) for one in told], shares=share_rows(rows, protocol),
        goals=list(goal_rows(rows, protocol, chosen)) if chosen else [], real=real_rows(rows, protocol),
        factors={name: table for name, table in factors.items() if table}, rates=rate_rows(rows, protocol),
        useless=list(useless(rows, protocol)), lacking=list(lacking(rows, protocol)),
        runs=len(rows), hours=f"{rows['seconds'].sum() / 3600:.1f}",
        codes=", ".join(sorted(rows["code"].dropna().unique())), figure=figure.name,
    )  # fmt: skip
    page.write_text(text, encoding="utf-8")
    draw(rows, protocol, figure)
    return f"the recipe is {chosen.candidate}" if chosen else "nothing to decide yet"


def in_words(protocol: Protocol, candidate: str, other: str = AUTHOR) -> str:
    """'train.model.pooling=last, ...': what it sets otherwise than another, the author's recipe by default."""
    changes = protocol.changes(candidate, other) if candidate in protocol.candidates else {}
    return ", ".join(f"{key}={value}" for key, value in sorted(changes.items())) or "-"


def spread(found: Paired) -> str:
    """'0.12 (0.08 to 0.16)'."""
    if not found.pairs:
        return "-"
    return f"{found.mean:.2f}" + (f" ({found.low:.2f} to {found.high:.2f})" if found.pairs > 1 else " (one)")


def finals(protocol: Protocol) -> list[str]:
    """Data sets of the rounds in which finalists meet."""
    return list(dict.fromkeys(name for one in protocol.rounds.values() if one.final for name in one.data))


def final_rows(rows: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """The rows of those rounds alone: of their markets, sizes and seeds."""
    parts = [
        rows[rows["data"].isin(one.data) & rows["seed"].isin(one.seeds) & rows["budget"].isin(one.budgets)]
        for one in protocol.rounds.values() if one.final
    ]  # fmt: skip
    return pd.concat(parts).drop_duplicates(["candidate", "data", "budget", "seed"]) if parts else rows[:0]


def judged(rows: pd.DataFrame, protocol: Protocol) -> list[Standing]:
    own = final_rows(rows, protocol)
    told = own[~own["data"].isin(protocol.told_only)]
    have = [name for name in protocol.finalists if name in set(told["candidate"])]
    if AUTHOR not in have or len(have) < 2:
        return []
    return standings(told, protocol, have, {name: worse_on(own, protocol, name) for name in have})


def worse_on(rows: pd.DataFrame, protocol: Protocol, candidate: str) -> tuple[str, ...]:
    """Real measures on which the candidate's loss is established above the author's."""
    found = []
    for data, same in rows[rows["measure"] == "skill"].groupby("data"):
        mine = same[same["candidate"] == candidate]
        if candidate != AUTHOR and len(mine) and AUTHOR in set(same["candidate"]):
            seeds = sorted(set(mine["seed"]))
            if loss_against(DAILY, candidate, AUTHOR, str(data), seeds, horizon_of(protocol, str(data))).low > 0:
                found.append(str(data))
    return tuple(found)


def standing_row(one: Standing, protocol: Protocol) -> dict[str, object]:
    noise = "-" if one.found_in_noise is None else f"{one.found_in_noise}"
    return {
        "recipe": one.candidate, "mean rank": f"{one.rank:.2f}",
        "behind the best": f"{one.behind:.2f} ± {one.error:.2f}",
        "found in 12 random walks": noise, "worse than the author's on": ", ".join(one.worse_on) or "-",
        "settings changed": one.settings, "seconds a run": f"{one.seconds:.0f}",
        "eligible": "yes" if one.eligible else "no", "what it sets": in_words(protocol, one.candidate),
    }  # fmt: skip


def share_rows(rows: pd.DataFrame, protocol: Protocol) -> Rows:
    """Share of the findable skill by recipe, on the markets of the final rounds."""
    own = final_rows(rows, protocol)
    own = own[own["measure"] == "share"]
    columns = own[["data", "budget"]].drop_duplicates().itertuples(index=False)
    places = sorted(
        ((str(data), str(budget)) for data, budget in columns), key=lambda place: finals(protocol).index(place[0])
    )
    table = []
    for name in [*protocol.finalists, *protocol.beside]:
        mine = own[own["candidate"] == name]
        cells = {
            f"{data}, {budget}": spread(student(_values(mine, data, budget))) for data, budget in places
        }  # fmt: skip
        if len(mine):
            table.append({"recipe": name} | cells)
    return table


def _values(rows: pd.DataFrame, data: str, budget: str) -> np.ndarray:
    return rows.loc[(rows["data"] == data) & (rows["budget"] == budget), "value"].to_numpy(float)


def goal_rows(rows: pd.DataFrame, protocol: Protocol, chosen: Standing) -> Iterator[str]:
    """Whether the goals of SPEC 15 are reached, on the rows of the final rounds."""
    own = final_rows(rows, protocol)
    mine = own[own["candidate"] == chosen.candidate]
    for data, goal in GOALS.items():
        found = student(_values(mine, data, "10K"))
        if found.pairs:
            word = "reached" if found.mean >= goal else "**not reached**"
            yield f"{data.split('-')[0]} law, 10K, 2,418 days: {spread(found)}, goal {goal}: {word}"
    seeds = sorted(set(mine.loc[mine["data"] == VOLATILITY, "seed"]))
    for rival, data in (("catboost", VOLATILITY), ("catboost", RELATIVE), ("har", VOLATILITY)):
        if seeds and rival in set(own.loc[own["data"] == data, "candidate"]):
            horizon = horizon_of(protocol, VOLATILITY)
            loss = loss_against(DAILY, chosen.candidate, rival, VOLATILITY, seeds, horizon, data)
            word = "worse" if loss.low > 0 else "better" if loss.high < 0 else "not told apart"
            features = ", the recipe's features" if data == RELATIVE else ""
            yield f"volatility of the panel, loss against {rival}{features}: {_relative(loss)}: {word}"
    if chosen.found_in_noise is not None:
        yield f"random walks in which it finds skill (95 %): {chosen.found_in_noise} of 12, at most 2 allowed"


def _relative(found: Estimate) -> str:
    """'-1.2% (-2.0% to -0.4%)' of a log ratio."""
    return "{:+.1%} ({:+.1%} to {:+.1%})".format(*np.expm1([found.value, found.low, found.high]))


def real_rows(rows: pd.DataFrame, protocol: Protocol) -> Rows:
    """Skill and loss of every recipe and baseline on the measured days of development data."""
    table = []
    for data, same in rows[rows["measure"] == "skill"].groupby("data", sort=False):
        for name in [*protocol.finalists, *_RIVALS]:
            mine = same[same["candidate"] == name]
            if not len(mine):
                continue
            told = "-"
            if name != AUTHOR and AUTHOR in set(same["candidate"]):
                of = mine if name in protocol.candidates else same[same["candidate"] == AUTHOR]
                seeds = sorted(set(of["seed"]))
                found = loss_against(DAILY, name, AUTHOR, str(data), seeds, horizon_of(protocol, str(data)))
                told = _relative(found)
            table.append({
                "data": data, "recipe or baseline": name, "training windows": f"{mine['windows'].iloc[0]:,.0f}",
                "seeds": len(mine), "skill": f"{mine['value'].mean():.3f}", "loss": f"{mine['loss'].mean():.4f}",
                "loss against the author's": told,
            })  # fmt: skip
    return table


def factor_rows(rows: pd.DataFrame, one: Round, protocol: Protocol) -> Rows:
    """Each candidate of a round against the one that it varies, on the same markets and seeds."""
    assert one.against
    own = rows[rows["data"].isin(one.data) & rows["seed"].isin(one.seeds) & rows["budget"].isin(one.budgets)]
    table: list[dict[str, object]] = []
    for name in one.candidates:
        mine = own[own["candidate"] == name]
        if not len(mine):
            continue
        means = {data: _mean(mine.loc[mine["data"] == data, "value"]) for data in one.data}
        found = paired(own, name, one.against)
        same = name == one.against
        table.append(
            {"recipe": name} | means | {
                f"less {one.against}": "-" if same else spread(found), "pairs": found.pairs,
                "carried on": "-" if same else "yes" if found.carried_on else "no",
                "seconds": f"{mine['seconds'].mean():.0f}",
                f"sets otherwise than {one.against}": in_words(protocol, name, one.against),
            }
        )  # fmt: skip
    return table


def _mean(values: pd.Series) -> str:
    return f"{values.mean():.2f}" if len(values) else "-"


def rate_rows(rows: pd.DataFrame, protocol: Protocol) -> Rows:
    """Shares of larger models by learning rate and parametrization, where round 3 has them."""
    own = rows[rows["budget"] != "10K"]
    return [
        {
            "budget": budget, "parametrization": protocol.recipe(name)["train.model.parametrization"],
            "learning rate": f"{protocol.recipe(name)['train.learning_rate']:g}", "recipe": name,
            "share": f"{same['value'].mean():.2f}", "runs": len(same),
        }
        for (budget, name), same in own.groupby(["budget", "candidate"], sort=False)
    ]  # fmt: skip


def useless(rows: pd.DataFrame, protocol: Protocol) -> Iterator[str]:
    """Candidates of the factor rounds that lie below what they vary by more than the interval."""
    for number, one in protocol.rounds.items():
        for name in one.candidates if one.against else ():
            own = rows[rows["data"].isin(one.data) & rows["seed"].isin(one.seeds)]
            found = paired(own, name, one.against or "")
            if name not in (one.against, AUTHOR) and found.pairs > 1 and found.high < 0:
                yield f"`{name}` (round {number}): {spread(found)} against `{one.against}`"


def lacking(rows: pd.DataFrame, protocol: Protocol) -> Iterator[str]:
    """Runs of the protocol that the table does not hold, by round and candidate."""
    names = ["candidate", "data", "budget", "seed"]
    known = set(rows[names].itertuples(index=False, name=None))
    for number, one in protocol.rounds.items():
        for name in one.candidates:
            wanted = [(name, *place) for place in product(one.data, one.budgets, one.seeds)]
            left = [place for place in wanted if place not in known]
            if left and name != BASELINES:
                yield f"round {number}, `{name}`: {len(left)} of {len(wanted)}"


def draw(rows: pd.DataFrame, protocol: Protocol, path: Path) -> None:
    """Left: what each factor changes. Right: share against training days, finalists and the two laws."""
    figure, (left, *right) = panels(1, 3, 13, 5.2)
    draw_factors(left, rows, protocol)
    own = final_rows(rows, protocol)
    for axes, law in zip(right, ("straight", "turning"), strict=True):
        draw_shares(axes, own[own["data"].str.startswith(law)], [*protocol.finalists, *protocol.beside])
        axes.set_title(f"{law} law, 10K")
    if len(own):
        right[0].legend()
    save(figure, path)


def draw_factors(axes: Axes, rows: pd.DataFrame, protocol: Protocol) -> None:
    first = next(one for one in protocol.rounds.values() if one.against)
    own = rows[rows["data"].isin(first.data) & rows["seed"].isin(first.seeds)]
    found = {name: paired(own, name, str(first.against)) for name in first.candidates if name != first.against}
    shown = sorted((one.mean, name) for name, one in found.items() if one.pairs > 2)
    for place, (mean, name) in enumerate(shown):
        axes.plot([found[name].low, found[name].high], [place, place], color=MUTED, linewidth=2)
        axes.plot(mean, place, "o", color=SERIES[0])
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [name for _, name in shown])
    axes.set_xlabel(f"share less that of `{first.against}` (95 %)")
    axes.set_title("one factor at a time, both laws, 2,418 days")


def draw_shares(axes: Axes, rows: pd.DataFrame, finalists: Sequence[str]) -> None:
    small = rows[rows["budget"] == "10K"]
    for color, name in zip(SERIES, finalists, strict=False):
        mine = small[small["candidate"] == name].groupby("windows")["value"].agg(["mean", "min", "max"])
        if len(mine):
            axes.plot(mine.index, mine["mean"], "o-", color=color, label=name, linewidth=1.6)
            axes.vlines(mine.index, mine["min"], mine["max"], color=color, linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks([418, 2418, 6418], ["418", "2.4K", "6.4K"])
    axes.minorticks_off()
    axes.set_xlim(350, 8000)
    axes.set_ylim(-0.1, 1)
    axes.set_xlabel("training days")
    axes.set_ylabel("share of the findable skill (lines: lowest to highest seed)")
