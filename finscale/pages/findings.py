"""What validation and the choice of symbols leave to say beside a result, as rows of tables."""

from typing import Any

from finscale.pages.run_tables import Table, cross_section_words, interval_name
from finscale.pages.style import MODEL, loss_unit, shown

_FEW = 3  # series named of a rule, those with most days first


def finding_table(findings: list[dict[str, Any]]) -> Table:
    """One row per rule: in how many series, which most, and what to do. findings: reports/validation.json."""
    by_rule: dict[str, list[dict[str, Any]]] = {}
    for finding in findings:
        by_rule.setdefault(finding["rule"], []).append(finding)
    return [
        {"warning": rule, "series": len(found), "where": _where(found), "what it means": found[0]["remedy"]}
        for rule, found in by_rule.items()
    ]


def _where(found: list[dict[str, Any]]) -> str:
    """'AA (3: 1970-11-16, ...), ABC (2: ...) and 418 more'."""
    worst = sorted(found, key=lambda one: (-len(one["where"]), one["series"]))
    told = [f"{one['series']} ({len(one['where'])}: {_days(one['where'])})" for one in worst[:_FEW]]
    return ", ".join(told) + (f" and {len(found) - _FEW} more" if len(found) > _FEW else "")


def _days(where: list[str]) -> str:
    return ", ".join(where[:_FEW]) + (", ..." if len(where) > _FEW else "")


def unseen_table(experiment: dict[str, Any]) -> Table:
    """Loss and skill on symbols that never trained, best first; nothing where there was no such test."""
    if not (told := experiment.get("unseen")):
        return []
    unit, interval = loss_unit(experiment["axes"]["task"]), interval_name(experiment)
    scores = sorted(told["scores"]["models"].items(), key=lambda item: item[1]["loss"]["value"])
    return [
        {
            f"on {told['symbols']} symbols never seen": shown(name),
            unit.axis: unit.text(score["loss"]["value"]),
            interval: f"{unit.text(score['loss']['low'])} to {unit.text(score['loss']['high'])}",
            "skill": f"{score['skill']['value']:+.4f}",
            "interval of skill": f"{score['skill']['low']:.4f} to {score['skill']['high']:.4f}",
        }
        for name, score in scores
    ]


def unseen_words(experiment: dict[str, Any]) -> list[str]:
    """The second test in a sentence, where there was one, and what it says of the symbols of a day."""
    if not (told := experiment.get("unseen")):
        return []
    score, unit = told["scores"]["models"][MODEL], loss_unit(experiment["axes"]["task"])
    loss, skill = ({part: one[part] for part in ("value", "low", "high")} for one in (score["loss"], score["skill"]))
    value, low, high = (unit.text(loss[part]) for part in ("value", "low", "high"))
    return [
        f"on {told['symbols']} symbols never seen: loss {value} ({low} to {high}) {unit.unit}, "
        f"skill {skill['value']:+.4f} ({skill['low']:.4f} to {skill['high']:.4f})",
        *cross_section_words(experiment, second=True),
    ]
