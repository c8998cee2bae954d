"""Vega-Lite charts of the page, as plain dictionaries that carry their own data."""

from typing import Any

import pandas as pd

Chart = dict[str, Any]

_INK, _ACCENT, _MUTED = "#1f2937", "#2563eb", "#9ca3af"
_COLOURS = (_ACCENT, "#d97706", "#059669", "#dc2626", "#7c3aed", _MUTED, _INK)
_HOVER: Chart = {"type": "circle", "size": 60, "opacity": 0}  # a line by itself does not know where it is pointed at
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"  # an identifier: nothing is loaded from there
_TOOLTIP = (
    ("name", "run", None), ("budget", "budget", None), ("seed", "seed", None), ("params", "parameters", ","),
    ("test_loss", "test loss", ".5f"), ("test_loss_low", "from", ".5f"), ("test_loss_high", "to", ".5f"),
    ("val_loss", "validation loss", ".5f"), ("test_skill", "skill", "+.4f"), ("key", "key", None),
)  # fmt: skip


def scaling_chart(runs: pd.DataFrame, line: pd.DataFrame) -> Chart:
    """Test loss against parameters, log-log; hovering over a dot names its run.

    runs: rows of all_results.csv. line: experiment, params, loss along each fitted law. With several experiments a
    menu chooses the one that is shown.
    """
    names = list(dict.fromkeys(runs["experiment"]))
    menu = {"name": "shown", "value": names[0], "bind": {"input": "select", "options": names, "name": "experiment "}}
    only_shown = [{"filter": "datum.experiment === shown"}] if len(names) > 1 else []
    x: Chart = {"field": "params", "type": "quantitative", "title": "parameters (counted)"}
    x |= {"scale": {"type": "log", "nice": False, "padding": 24}, "axis": {"format": "~s", "labelOverlap": True}}
    y: Chart = {"type": "quantitative", "title": "test loss"}
    y |= {"scale": {"type": "log", "nice": False, "padding": 16}, "axis": {"format": ".4~g", "tickCount": 6}}
    tooltip = [{"field": field, "title": title} | ({"format": f} if f else {}) for field, title, f in _TOOLTIP]
    dots = {"type": "circle", "size": 90, "opacity": 0.45, "color": _ACCENT}
    means = {"aggregate": [{"op": "mean", "field": "test_loss", "as": "mean"}], "groupby": ["params", "budget"]}
    told = [{"field": "budget"}, {"field": "mean", "title": "mean over seeds", "format": ".5f"}]
    base = {"aggregate": [{"op": "median", "field": "base_rate_loss", "as": "base"}], "groupby": ["experiment"]}
    base_tip = [{"field": "base", "title": "base rate", "format": ".5f"}]
    layers = [
        {"transform": [base], "mark": {"type": "rule", "color": _MUTED, "strokeDash": [3, 3]},
         "encoding": {"y": y | {"field": "base"}, "tooltip": base_tip}},
        {"data": {"values": _records(line)}, "transform": only_shown,
         "mark": {"type": "line", "color": _ACCENT, "strokeWidth": 2},
         "encoding": {"x": x, "y": y | {"field": "loss"}, "tooltip": [{"field": "law"}]}},
        {"mark": dots, "encoding": {"x": x, "y": y | {"field": "test_loss"}, "tooltip": tooltip}},
        {"transform": [means], "mark": {"type": "point", "shape": "diamond", "filled": True, "size": 90, "color": _INK},
         "encoding": {"x": x, "y": y | {"field": "mean"}, "tooltip": told}},
    ]  # fmt: skip
    chart = _chart(_records(runs), 380) | {"layer": layers, "transform": only_shown}
    return chart | ({"params": [menu]} if len(names) > 1 else {})


def interval_chart(scores: list[dict[str, Any]]) -> Chart:
    """Test losses of the model and the baselines with their intervals. scores: name, loss, low, high, best first."""
    colour = {"condition": {"test": "datum.name === 'PatchTST'", "value": _ACCENT}, "value": _MUTED}
    y = {"field": "name", "type": "nominal", "sort": None, "title": None}
    x = {"type": "quantitative", "title": "test loss", "scale": {"zero": False}}
    tooltip = [{"field": "name"}, *({"field": field, "format": ".5f"} for field in ("loss", "low", "high"))]
    ends = {"x": x | {"field": "low"}, "x2": {"field": "high"}}
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 2.5}, "encoding": {"y": y, **ends, "color": colour}},
        {"mark": {"type": "circle", "size": 80, "opacity": 1},
         "encoding": {"y": y, "x": x | {"field": "loss"}, "color": colour, "tooltip": tooltip}},
    ]  # fmt: skip
    return _chart(scores, 190) | {"layer": layers}


def reliability_chart(reliability: pd.DataFrame) -> Chart:
    """Observed against predicted rates in bins of equal size, beside the diagonal.

    reliability: predicted, observed, rows, and low and high, the interval of the observed rate.
    """
    high = float(reliability[["predicted", "high"]].to_numpy().max()) * 1.05
    diagonal = [{"predicted": end, "observed": end} for end in (0.0, high)]
    axes = {name: {"type": "quantitative", "field": field, "title": f"{field} rate", "scale": {"domain": [0, high]}}
            for name, field in (("x", "predicted"), ("y", "observed"))}  # fmt: skip
    tooltip = [
        *({"field": field, "format": ".3f"} for field in ("predicted", "observed", "low", "high")),
        {"field": "rows"},
    ]
    ends = {"x": axes["x"], "y": axes["y"] | {"field": "low"}, "y2": {"field": "high"}}
    layers = [
        {
            "data": {"values": diagonal},
            "mark": {"type": "line", "color": _MUTED, "strokeDash": [3, 3]},
            "encoding": axes,
        },
        {"mark": {"type": "line", "color": _ACCENT}, "encoding": axes},
        {"mark": {"type": "rule", "color": _ACCENT}, "encoding": ends},
        {
            "mark": {"type": "circle", "size": 70, "opacity": 1, "color": _ACCENT},
            "encoding": axes | {"tooltip": tooltip},
        },
    ]
    return _chart(_records(reliability), 240) | {"layer": layers}


def ranking_chart(curves: pd.DataFrame, x: str, y: str, level: list[tuple[float, float]]) -> Chart:
    """ROC or precision against recall of several predictions; a click in the legend singles one out.

    curves: name, x, y, order. x, y: what the axes are called. level: two points of the line without skill.
    """
    names = list(dict.fromkeys(curves["name"]))
    axes: Chart = {field: {"field": field, "type": "quantitative", "title": title, "scale": {"domain": [0, 1]}}
                   for field, title in (("x", x), ("y", y))}  # fmt: skip
    tooltip = [{"field": "name"}, *({"field": f, "title": t, "format": ".3f"} for f, t in (("x", x), ("y", y)))]
    fade = {"condition": {"param": "picked", "value": 1}, "value": 0.12}
    layers = [
        {"data": {"values": [{"x": at, "y": height} for at, height in level]},
         "mark": {"type": "line", "color": _MUTED, "strokeDash": [3, 3]}, "encoding": axes},
        {"params": [{"name": "picked", "select": {"type": "point", "fields": ["name"]}, "bind": "legend"}],
         "mark": {"type": "line", "strokeWidth": 1.8},
         "encoding": axes | {"order": {"field": "order"}, "opacity": fade, **_by_name(names)}},
        {"mark": _HOVER, "encoding": axes | {"tooltip": tooltip}},
    ]  # fmt: skip
    return _chart(_records(curves), 260) | {"layer": layers}


def daily_chart(values: pd.DataFrame, field: str, form: str, height: int, level: float | None = None) -> Chart:
    """One quantity by day and name: equity, drawdown, coverage. values: date, name, field.

    form: of its numbers, as d3 writes it. level: a dashed line at what was promised.
    """
    y: Chart = {"type": "quantitative", "scale": {"zero": False}, "axis": {"format": form, "tickCount": 4}}
    days = {"field": "date", "type": "temporal", "title": None, "axis": {"format": "%b %Y", "labelOverlap": True}}
    tooltip = [{"field": "date", "type": "temporal"}, {"field": "name"}, {"field": field, "format": form}]
    names = list(dict.fromkeys(values["name"]))
    encoding = {"x": days, "y": y | {"field": field, "title": field}, **_by_name(names)}
    promised = {"data": {"values": [{field: level}]}, "mark": {"type": "rule", "color": _INK, "strokeDash": [3, 3]},
                "encoding": {"y": y | {"field": field}}}  # fmt: skip
    lines: list[Chart] = [
        {"mark": {"type": "line", "strokeWidth": 1.5}, "encoding": encoding},
        {"mark": _HOVER, "encoding": encoding | {"tooltip": tooltip}},
    ]
    return _chart(_records(values), height) | {"layer": lines if level is None else [promised, *lines]}


def _by_name(names: list[str]) -> Chart:
    """Colour by name, the first in the accent."""
    legend = {"orient": "top", "title": None, "columns": 3, "labelLimit": 220}
    scale = {"domain": names, "range": [_COLOURS[at % len(_COLOURS)] for at in range(len(names))]}
    return {"color": {"field": "name", "type": "nominal", "scale": scale, "legend": legend}}


def loss_chart(losses: pd.DataFrame) -> Chart:
    """Training and validation loss per epoch. Columns: epoch, train, validation."""
    folded = losses.melt("epoch", ["train", "validation"], "split", "loss")
    scale = {"domain": ["train", "validation"], "range": [_MUTED, _ACCENT]}
    encoding = {
        "x": {"field": "epoch", "type": "quantitative", "axis": {"tickMinStep": 1}},
        "y": {"field": "loss", "type": "quantitative", "scale": {"zero": False}},
        "color": {"field": "split", "type": "nominal", "scale": scale, "legend": {"orient": "top", "title": None}},
        "tooltip": [{"field": "split"}, {"field": "epoch"}, {"field": "loss", "format": ".5f"}],
    }
    return _chart(_records(folded), 220) | {"mark": {"type": "line", "point": True}, "encoding": encoding}


def _chart(values: list[dict[str, Any]], height: int) -> Chart:
    axis = {"gridColor": "#e5e7eb", "domainColor": _MUTED, "tickColor": _MUTED, "labelColor": _INK, "titleColor": _INK}
    font = {"font": "system-ui, sans-serif", "axis": axis | {"titleFontWeight": 500}, "view": {"stroke": None}}
    return {"$schema": _SCHEMA, "width": "container", "height": height, "data": {"values": values}, "config": font}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON takes them: missing values as null."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")
