"""Vega-Lite charts of plain rows; their colours are the page's, which know light and dark.

Fields have fixed names, since in Vega-Lite's a dot or a bracket means something.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from runner.report.page.blocks import Chart

Row = dict[str, Any]
FEW = 30  # configurations that are shown by name
DIGITS = ".4~g"


def ranking(title: str, metric: str, rows: Sequence[Row], grouped: str = "") -> Chart:
    """Return values with their intervals, the best first.

    Parameters
    ----------
    rows : of ``name, place, value, low, high`` and, where ``grouped`` names it, ``group``.
    """
    tips = tooltips(["name"], value=metric, low="from", high="to")
    value = axis("value", metric)
    if len(rows) <= FEW:
        along, across = "y", "x"
        place: Row = {"field": "name", "type": "nominal", "sort": None, "axis": {"title": None}}
        size = 24 * len(rows) + 10
        about = "A point for each configuration, a line for its 95 % interval."
    else:
        along, across = "x", "y"
        place = axis("place", "place by mean", zero=True)
        size, about = 300, f"Each of {len(rows):,} configurations with its 95 % interval."
    encoding: Row = {along: place, across: value, "tooltip": tips}
    if grouped:
        encoding["color"] = colour("group", rows, grouped)
    rule = {"type": "rule", "strokeWidth": 2 if along == "y" else 1, "opacity": 0.55}
    interval = {across: {**value, "field": "low"}, f"{across}2": {"field": "high"}}
    spec = {
        "data": {"values": list(rows)},
        "height": size,
        "encoding": encoding,
        "layer": [
            *ranged(rows, "low", {"mark": rule, "encoding": interval}),
            {"mark": {"type": "point", "filled": True, "size": 70 if along == "y" else 22}},
        ],
    }
    return Chart(title, about, spec)


def trade_off(speed: str, metric: str, rows: Sequence[Row], grouped: str) -> Chart:
    """Return what is measured over the time it takes, with the intervals of both.

    Parameters
    ----------
    rows : of ``name, group, x, x_low, x_high, y, y_low, y_high``.
    """
    x, y = axis("x", speed), axis("y", metric)
    tips = tooltips(["name"], x=speed, y=metric)
    encoding: Row = {"x": x, "y": y, "tooltip": tips}
    if len({row["group"] for row in rows}) > 1:
        encoding["color"] = colour("group", rows, grouped)
    rule = {"type": "rule", "opacity": 0.4 if len(rows) <= FEW else 0.12}
    wide = {"x": {**x, "field": "x_low"}, "x2": {"field": "x_high"}}
    high = {"y": {**y, "field": "y_low"}, "y2": {"field": "y_high"}}
    spec = {
        "data": {"values": list(rows)},
        "height": 320,
        "encoding": encoding,
        "layer": [
            *ranged(rows, "x_low", {"mark": rule, "encoding": wide}),
            *ranged(rows, "y_low", {"mark": rule, "encoding": high}),
            {"mark": {"type": "point", "filled": True, "size": 60 if len(rows) <= FEW else 25}},
        ],
    }
    about = "A point for each configuration, lines for the 95 % intervals where there are any."
    return Chart(f"{metric} and {speed}", about, spec)


def curves(title: str, measure: str, rows: Sequence[Row], about: str) -> Chart:
    """Return lines over epochs, with bands where rows have ``low`` and ``high``.

    Parameters
    ----------
    rows : of ``epoch, value, low, high, series``.
    """
    tips = tooltips(["series"], epoch="epoch", value=measure)
    x = axis("epoch", "epoch", whole=True)
    band = {"y": axis("low", measure), "y2": {"field": "high"}}
    spec = {
        "data": {"values": list(rows)},
        "height": 260,
        "encoding": {"x": x, "color": colour("series", rows), "tooltip": tips},
        "layer": [
            *ranged(rows, "low", {"mark": {"type": "area", "opacity": 0.15}, "encoding": band}),
            {
                "mark": {"type": "line", "point": {"size": 25}},
                "encoding": {"y": axis("value", measure)},
            },
        ],
    }
    return Chart(title, about, spec)


def classes(title: str, rows: Sequence[Row]) -> Chart:
    """Return the accuracy of each class; rows of ``name, value, low, high``."""
    tips = tooltips(["name"], value="accuracy", low="from", high="to")
    y = axis("value", "accuracy")
    spec = {
        "data": {"values": list(rows)},
        "height": 240,
        "encoding": {
            "x": {"field": "name", "type": "nominal", "sort": None, "title": "class"}
            | {"axis": {"labelAngle": 0, "labelOverlap": True}},
            "tooltip": tips,
        },
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.55},
                "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {"mark": {"type": "point", "filled": True, "size": 70}, "encoding": {"y": y}},
        ],
    }
    return Chart(title, "A point for each class, a line for its 95 % Wilson interval.", spec)


def repeats(title: str, x: str, rows: Sequence[Row]) -> Chart:
    """Return each repeat of a time, and their mean with its interval.

    Parameters
    ----------
    rows : of ``x, seconds``, and means of ``x, mean, low, high``.
    """
    seconds = axis("seconds", "seconds")
    wide = {"y": {**seconds, "field": "low"}, "y2": {"field": "high"}}
    mean = {"y": {**seconds, "field": "mean"}}
    spec = {
        "data": {"values": list(rows)},
        "height": 220,
        "encoding": {
            "x": {"field": "x", "type": "ordinal", "sort": None, "title": x}
            | {"axis": {"labelAngle": 0, "labelOverlap": True}},
            "tooltip": tooltips(["x"], seconds="seconds", mean="mean"),
        },
        "layer": [
            {
                "mark": {"type": "point", "opacity": 0.45, "size": 30},
                "encoding": {"y": seconds},
            },
            *ranged(rows, "low", {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": wide}),
            *ranged(rows, "mean", {"mark": {"type": "tick"}, "encoding": mean}),
        ],
    }
    about = "A point for each pass; where there are several, a bar for the mean of them and a line"
    return Chart(title, f"{about} for its 95 % interval.", spec)


def ranged(rows: Sequence[Row], field: str, layer: Row) -> list[Row]:
    """Return a layer where any row has its field: an axis of no values is an error."""
    return [layer] if any(row.get(field) is not None for row in rows) else []


def axis(field: str, title: str, *, zero: bool = False, whole: bool = False) -> Row:
    """Return a number along an axis."""
    options: Row = {"format": "d", "tickMinStep": 1} if whole else {}
    scale = {"zero": zero, "nice": not whole}
    made: Row = {"field": field, "type": "quantitative", "title": title, "scale": scale}
    return made | ({"axis": options} if options else {})


def colour(field: str, rows: Sequence[Row], title: str = "") -> Row:
    """Return the colour of a group or series, in one order wherever the same ones are drawn."""
    domain = natural({row[field] for row in rows}) if title else [row[field] for row in rows]
    scale = {"domain": list(dict.fromkeys(domain))}
    return {"field": field, "type": "nominal", "scale": scale, "title": title or None}


def natural(names: Iterable[str]) -> list[str]:
    """Return names in an order in which [50] comes before [100]."""
    return sorted(
        names, key=lambda name: [(len(part), part) for part in re.findall(r"\d+|\D", name)]
    )


def tooltips(names: Sequence[str], **numbers: str) -> list[Row]:
    """Return what is shown of the mark under the pointer: its names, and numbers by their title."""
    texts = [{"field": name, "type": "nominal", "title": "of"} for name in names]
    kind = {"type": "quantitative", "format": DIGITS}
    return [*texts, *({"field": name, "title": told, **kind} for name, told in numbers.items())]
