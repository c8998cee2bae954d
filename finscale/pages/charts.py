"""Vega-Lite charts of the page, as plain dictionaries that carry their own data.

Colours are CSS variables of the page (style.variables), so that a chart follows its scheme and prints dark on white.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from finscale.evaluation.ranking import Ranking
from finscale.pages.run_tables import Table, ranking_words
from finscale.pages.style import MODEL, LossUnit, shown, variable

Chart = dict[str, Any]

_INK, _ACCENT, _MUTED = variable("ink"), variable(MODEL), variable("soft")
_HOVER: Chart = {"type": "circle", "size": 60, "opacity": 0}  # a line by itself does not know where it is pointed at
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"  # an identifier: nothing is loaded from there
_SIZE_NAME = "replace(format(datum.value, '.2~s'), 'k', 'K')"  # 99,625 parameters are the size called 100K
# Vega's own smallest step of a tick does not hold on short axes: a run of three epochs had ticks at their halves.
_WHOLE = "sequence(ceil(domain('x')[0]), floor(domain('x')[1]) + 1, max(1, ceil(span(domain('x')) / 10)))"
_CURVE_POINTS = 150  # of a ranking, at most
_TOOLTIP = (
    ("name", "run", None), ("budget", "budget", None), ("seed", "seed", None), ("params", "parameters", ","),
    ("test_loss", "test loss", ".5~g"), ("test_loss_low", "from", ".5~g"), ("test_loss_high", "to", ".5~g"),
    ("val_loss", "validation loss", ".5~g"), ("test_skill", "skill", "+.4f"), ("key", "key", None),
    ("again", "again", None),
)  # fmt: skip


def scaling_chart(runs: pd.DataFrame, line: pd.DataFrame) -> Chart:
    """Test loss against parameters, log-log; hovering over a dot names its run and the line that repeats it.

    runs: rows of all_results.csv. line: experiment, params, loss, low, high along each fitted law, covers what low and
    high are over. With several experiments a menu chooses the one that is shown.
    """
    names = list(dict.fromkeys(runs["experiment"]))
    menu = {"name": "shown", "value": names[0], "bind": {"input": "select", "options": names, "name": "experiment "}}
    only_shown = [{"filter": "datum.experiment === shown"}] if len(names) > 1 else []
    x: Chart = {"field": "params", "type": "quantitative", "title": "parameters (counted)"}
    x |= {"scale": {"type": "log", "nice": False, "padding": 24}}
    x |= {"axis": {"values": _sizes(runs, names), "labelExpr": _SIZE_NAME, "labelOverlap": True}}
    y: Chart = {"type": "quantitative", "title": "test loss"}
    y |= {"scale": {"type": "log", "nice": False, "padding": 16}, "axis": {"format": ".4~g", "tickCount": 6}}
    tooltip = [{"field": field, "title": title} | ({"format": f} if f else {}) for field, title, f in _TOOLTIP]
    means = {"aggregate": [{"op": "mean", "field": "test_loss", "as": "mean"}], "groupby": ["params", "budget"]}
    told = [{"field": "budget"}, {"field": "mean", "title": "mean over seeds", "format": ".5~g"}]
    base = {"aggregate": [{"op": "median", "field": "base_rate_loss", "as": "base"}], "groupby": ["experiment"]}
    base_tip = [{"field": "base", "title": shown("base_rate"), "format": ".5~g"}]
    law = {"data": {"values": _records(line)}, "transform": only_shown}
    diamond = {"type": "point", "shape": "diamond", "filled": True, "size": 90, "color": _INK, "opacity": 1}
    layers = [
        law | {"mark": {"type": "area", "color": _INK, "opacity": 0.12},
               "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"},
                            "tooltip": [{"field": "covers", "title": "95 % interval over"}]}},
        {"transform": [base], "mark": {"type": "rule", "color": variable("base_rate"), "strokeDash": [3, 3]},
         "encoding": {"y": y | {"field": "base"}, "tooltip": base_tip}},
        law | {"mark": {"type": "line", "color": _INK, "strokeWidth": 2},
               "encoding": {"x": x, "y": y | {"field": "loss"}, "tooltip": [{"field": "law"}]}},
        {"transform": [means], "mark": diamond,
         "encoding": {"x": x, "y": y | {"field": "mean"}, "tooltip": told}},
        {"mark": {"type": "circle", "size": 90, "opacity": 0.55, "color": _ACCENT},
         "encoding": {"x": x, "y": y | {"field": "test_loss"}, "tooltip": tooltip}},
    ]  # fmt: skip
    chart = _chart(_records(runs), 380) | {"layer": layers, "transform": only_shown}
    return chart | ({"params": [menu]} if len(names) > 1 else {})


def _sizes(runs: pd.DataFrame, names: list[str]) -> Any:
    """Where ticks stand: at the sizes of the experiment that is shown."""
    sizes = {name: sorted({int(size) for size in runs.loc[runs["experiment"] == name, "params"]}) for name in names}
    return sizes[names[0]] if len(names) == 1 else {"expr": f"({json.dumps(sizes)})[shown]"}


def interval_chart(scores: Table, unit: LossUnit) -> Chart:
    """Test losses of the model and the baselines with their intervals. scores: model, loss, low, high, best first."""
    rows = [{"name": shown(row["model"]), "model": row["model"]}
            | {end: unit.factor * row[end] for end in ("loss", "low", "high")} for row in scores]  # fmt: skip
    colour = _by_name([row["model"] for row in rows], "model", legend=False)
    y = {"field": "name", "type": "nominal", "sort": None, "title": None}
    x = {"type": "quantitative", "title": unit.axis, "scale": {"zero": False}}
    tooltip = [{"field": "name"}, *({"field": field, "format": ".5~g"} for field in ("loss", "low", "high"))]
    ends = {"x": x | {"field": "low"}, "x2": {"field": "high"}}
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 2.5}, "encoding": {"y": y, **ends, **colour, "tooltip": tooltip}},
        {"mark": {"type": "circle", "size": 80, "opacity": 1},
         "encoding": {"y": y, "x": x | {"field": "loss"}, **colour, "tooltip": tooltip}},
    ]  # fmt: skip
    return _chart(rows, 190) | {"layer": layers}


def reliability_chart(reliability: pd.DataFrame) -> Chart:
    """Observed against predicted rates in bins of equal size, beside the diagonal.

    reliability: predicted, observed, rows, and low and high, the interval of the observed rate.
    """
    high = float(reliability[["predicted", "high"]].to_numpy().max()) * 1.05
    axes = {name: {"type": "quantitative", "field": field, "title": f"{field} rate", "scale": {"domain": [0, high]}}
            for name, field in (("x", "predicted"), ("y", "observed"))}  # fmt: skip
    tooltip = [
        *({"field": field, "format": ".3f"} for field in ("predicted", "observed", "low", "high")),
        {"field": "rows"},
    ]
    ends = {"x": axes["x"], "y": axes["y"] | {"field": "low"}, "y2": {"field": "high"}}
    dot = {"type": "circle", "size": 70, "opacity": 1, "color": _ACCENT}
    layers = [
        _dashed([(0.0, 0.0), (high, high)], "predicted", "observed", axes),
        {"mark": {"type": "rule", "color": _ACCENT}, "encoding": ends},
        {"mark": dot, "encoding": axes | {"tooltip": tooltip}},
    ]
    return _chart(_records(reliability), 260) | {"layer": layers}


def ranking_chart(
    found: Sequence[Ranking], kind: str, axes: tuple[str, str], level: list[tuple[float, float]]
) -> Chart:
    """ROC or precision against recall of several predictions; a click in the legend singles one out.

    kind: roc | recall, the curve of each ranking. axes: what x and y are called. level: two points of the line without
    skill. Precision holds from one threshold to the next; a prediction of two values is one dot.
    """
    told = [_thinned(one, kind) for one in found]
    lines, dots = (
        [rows for one, rows in zip(found, told, strict=True) if one.dots == dotted] for dotted in (False, True)
    )
    scales: Chart = {field: {"field": field, "type": "quantitative", "title": title, "scale": {"domain": [0, 1]}}
                     for field, title in zip("xy", axes, strict=True)}  # fmt: skip
    tooltip = [{"field": "words", "title": "name"},
               *({"field": f, "title": t, "format": ".3f"} for f, t in zip("xy", axes, strict=True))]  # fmt: skip
    fade = {"condition": {"param": "picked", "value": 1}, "value": 0.12}
    words, colours = [rows["words"].iloc[0] for rows in told], [variable(one.model) for one in found]
    colour = {"color": _colour_scale("words", words, colours, legend=True)}
    line = {"type": "line", "strokeWidth": 1.8, "interpolate": "step-after" if kind == "recall" else "linear"}
    layers = [
        _dashed(level, "x", "y", scales),
        {"data": {"values": _all(lines)},
         "params": [{"name": "picked", "select": {"type": "point", "fields": ["words"]}, "bind": "legend"}],
         "mark": line, "encoding": scales | {"order": {"field": "order"}, "opacity": fade, **colour}},
        {"data": {"values": _all(lines)}, "mark": _HOVER, "encoding": scales | {"tooltip": tooltip}},
        {"data": {"values": _all(dots)}, "mark": {"type": "circle", "size": 90},
         "encoding": scales | {"opacity": fade, "tooltip": tooltip, **colour}},
    ]  # fmt: skip
    return _chart([], 300) | {"layer": layers}


def _thinned(ranking: Ranking, kind: str) -> pd.DataFrame:
    """At most _CURVE_POINTS of a curve, ends included: words, x, y, and order, in which it is drawn."""
    curve, words = ranking.roc if kind == "roc" else ranking.recall, ranking_words(ranking)[kind]
    kept = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), _CURVE_POINTS)).round().astype(int))
    return curve.iloc[kept].round(4).assign(words=words, order=np.arange(len(kept)))


def _all(parts: list[pd.DataFrame]) -> list[dict[str, Any]]:
    return _records(pd.concat(parts, ignore_index=True)) if parts else []


def daily_chart(values: pd.DataFrame, field: str, form: str, height: int, level: float | None = None) -> Chart:
    """One quantity by day and name: equity, drawdown, coverage. values: date, name, field.

    form: of its numbers, as d3 writes it. level: a dashed line at what was promised.
    """
    names = list(dict.fromkeys(values["name"]))
    told = values.assign(words=values["name"].map(shown))
    y: Chart = {"type": "quantitative", "scale": {"zero": False}, "axis": {"format": form, "tickCount": 4}}
    days = {"field": "date", "type": "temporal", "title": None, "axis": {"format": "%b %Y", "labelOverlap": True}}
    tooltip = [{"field": "date", "type": "temporal"}, {"field": "words", "title": "name"},
               {"field": field, "format": form}]  # fmt: skip
    colour = _colour_scale("words", [shown(name) for name in names], [variable(name) for name in names], legend=True)
    encoding = {"x": days, "y": y | {"field": field, "title": field}, "color": colour}
    promised = {"data": {"values": [{field: level}]}, "mark": {"type": "rule", "color": _INK, "strokeDash": [3, 3]},
                "encoding": {"y": y | {"field": field}}}  # fmt: skip
    lines: list[Chart] = [
        {"mark": {"type": "line", "strokeWidth": 1.5}, "encoding": encoding},
        {"mark": _HOVER, "encoding": encoding | {"tooltip": tooltip}},
    ]
    return _chart(_records(told), height) | {"layer": lines if level is None else [promised, *lines]}


def loss_chart(losses: pd.DataFrame, unit: LossUnit) -> Chart:
    """Training and validation loss per epoch; ticks at whole epochs. Columns: epoch, train, validation."""
    folded = losses.melt("epoch", ["train", "validation"], "split", "loss")
    folded = folded.assign(loss=unit.factor * folded["loss"])
    encoding = {
        "x": {"field": "epoch", "type": "quantitative", "axis": {"values": {"expr": _WHOLE}, "format": "d"}},
        "y": {"field": "loss", "type": "quantitative", "title": f"loss ({unit.unit})", "scale": {"zero": False}},
        **_by_name(["train", "validation"], "split", legend=True),
        "tooltip": [{"field": "split"}, {"field": "epoch"}, {"field": "loss", "format": ".5~g"}],
    }
    return _chart(_records(folded), 260) | {"mark": {"type": "line", "point": True}, "encoding": encoding}


def _by_name(names: list[str], field: str, legend: bool) -> Chart:
    return {"color": _colour_scale(field, names, [variable(name) for name in names], legend)}


def _colour_scale(field: str, values: list[str], colours: list[str], legend: bool) -> Chart:
    shown_legend = {"orient": "top", "title": None, "columns": 2, "labelLimit": 260} if legend else None
    return {"field": field, "type": "nominal", "scale": {"domain": values, "range": colours}, "legend": shown_legend}


def _dashed(points: list[tuple[float, float]], x: str, y: str, encoding: Chart) -> Chart:
    values = [{x: at, y: height} for at, height in points]
    return {"data": {"values": values}, "mark": {"type": "line", "color": _MUTED, "strokeDash": [3, 3]},
            "encoding": encoding}  # fmt: skip


def _chart(values: list[dict[str, Any]], height: int) -> Chart:
    axis: Chart = {"labelOverlap": True, "gridColor": variable("line"), "domainColor": _MUTED, "tickColor": _MUTED}
    axis |= {"labelColor": _INK, "titleColor": _INK, "titleFontWeight": 500, "labelFontSize": 12, "titleFontSize": 12}
    legend = {"labelColor": _INK, "labelFontSize": 12}
    config: Chart = {
        "font": "system-ui, sans-serif",
        "axis": axis,
        "legend": legend,
        "view": {"stroke": None},
        "background": None,
    }
    return {"$schema": _SCHEMA, "width": "container", "height": height, "data": {"values": values}, "config": config}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON takes them: missing values as null."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")
