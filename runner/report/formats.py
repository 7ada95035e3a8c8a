"""Tables as text for other programs: CSV, Markdown, LaTeX and JSON."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.tables.store import csv_text

# What a terminal would obey, except the ends of lines and tabulators.
CONTROLS = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), "\ufffd")
MARKDOWN = {character: f"\\{character}" for character in "\\`*_[]<>|#~&$"}
LATEX = {
    **{character: f"\\{character}" for character in "{}$&#_%"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\u2212": "$-$",
    "[": "{[}",  # at a row's start it would be an option of the rule or row above
    "]": "{]}",
    "*": "{*}",  # and this one a variant of it
}


def csv(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV, numbers in full."""
    return csv_text(names, rows)


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """Return a pipe table whose first ``left`` columns are text and the others numbers."""
    rule = [":---" if index < left else "---:" for index in range(len(heads))]
    lines = [[escaped(cell, MARKDOWN) for cell in row] for row in (heads, *rows)]
    lines.insert(1, rule)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """Return a tabular with booktabs' rules."""
    head, *body = ([escaped(cell, LATEX) for cell in row] for row in (heads, *rows))
    lines = [
        rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(heads) - left)}}}",
        r"\toprule",
        rf"{' & '.join(head)} \\",
        r"\midrule",
        *(rf"{' & '.join(row)} \\" for row in body),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str, table: Mapping[str, str]) -> str:
    """Return a text on one line, with what has a meaning in the format escaped."""
    return "".join(table.get(character, character) for character in one_line(text))


def one_line(text: str) -> str:
    """Return a text on one line, without control characters."""
    return " ".join(text.split()).translate(CONTROLS)


def as_json(content: Any) -> str:
    """Return JSON; a number that is not finite is null, as JSON has none."""
    return json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def finite(content: Any) -> Any:
    """Return the content with None in the place of numbers that are not finite."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
