"""The HTML file: sections in a template, with all that a browser needs inside.

The Content-Security-Policy allows the scripts and the style that are in the file, by their
hashes, and pictures in it; nothing else, and nothing from anywhere. Vega runs its expressions
by an interpreter, not by `eval`.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from runner.report import formats
from runner.report.page import overview, ranking
from runner.report.page.blocks import Section
from runner.report.page.run import run_sections
from runner.tables.results import Results

PLACE = Path(__file__).parent
LIBRARY = ("vega", "vega-lite", "vega-embed")  # in the order they build on each other
DETAILED = 6  # tables of which a run is shown


def report(tables: Sequence[Results]) -> str:
    """Return the report of tables as the text of an HTML file; equal tables, equal text.

    Raises
    ------
    ValueError
        Naming the file, where one of a run's is damaged.
    """
    sections = contents(tables)
    names = [table.name for table in tables]
    style, own = source("style.css"), source("script.js")
    drawn = any(block.kind == "chart" for section in sections for block in section.blocks)
    scripts = [*(library(name) for name in LIBRARY if drawn), own]
    made: str = (
        templates()
        .get_template("template.html")
        .render(
            title="Report of " + ", ".join(names[:3]) + (", ..." if len(names) > 3 else ""),
            names=names,
            sections=sections,
            style=style,
            scripts=scripts,
            policy=policy(scripts, style),
        )
    )
    return made


def contents(tables: Sequence[Results]) -> list[Section]:
    """Return all sections."""
    made: list[Section | None] = [overview.glance(tables)]
    if sum(len(table.rows) for table in tables) > 1:
        ranked = [ranking.ranked(table, overview.metrics(table)) for table in tables]
        made += ranking.ranking_sections(ranked)
        made += [overview.comparison_section(tables), ranking.learning_section(ranked)]
        made.append(overview.runs_section(tables))
    runs = []
    for table in tables[:DETAILED]:
        row, why = overview.shown(table)
        made += run_sections(table, row, why)
        runs.append((table, row))
    made += [overview.configuration_section(tables, runs), overview.environment_section(tables)]
    return [section for section in made if section is not None]


@cache
def templates() -> Any:
    """Return the templates, with everything that is put into them escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(PLACE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["embedded"] = embedded
    return made


def embedded(content: Any) -> str:
    """Return JSON that cannot end the script element which it stands in."""
    made = json.dumps(formats.finite(content), ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        made = made.replace(character, f"\\u{ord(character):04x}")
    return made


@cache
def library(name: str) -> str:
    """Return a script of the chart library, without the address of its map."""
    return source(f"vega/{name}.min.js").partition("\n//# sourceMappingURL=")[0]


def source(name: str) -> str:
    """Return the text of a file of the page."""
    return (PLACE / name).read_text(encoding="utf-8")


def policy(scripts: Sequence[str], style: str) -> str:
    """Return the Content-Security-Policy that allows these scripts and this style alone."""
    hashes = " ".join(map(digest, scripts))
    rules = ("default-src 'none'", f"script-src {hashes}", f"style-src {digest(style)}")
    return "; ".join([*rules, "img-src data:", "base-uri 'none'", "form-action 'none'"])


def digest(text: str) -> str:
    """Return the hash of an inline script or style as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
