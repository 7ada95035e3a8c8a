"""What the commands on tables of results have in common."""

import sys
from collections.abc import Collection, Sequence

from runner.commands.words import CONTROLS
from runner.lookup import BadInput, did_you_mean

FORMATS = ("terminal", "csv", "markdown", "latex", "json")
WHOLE = ("terminal", "json")  # which have room for notes


def split(text: str | None) -> list[str]:
    """Return names that have commas between them."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def chosen_metrics(given: Sequence[str] | None, known: Collection[str], where: str) -> list[str]:
    """Return the metrics that were asked for, each of which must be known."""
    names = [name for text in given or () for name in split(text)]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise BadInput("--metric", "one of " + ", ".join(known), name, where=where, hint=hint)
    return names


def say_aside(lines: Sequence[str], form: str) -> None:
    """Print what is no part of a table; what another program reads stays free of it."""
    for line in lines:
        print(line.translate(CONTROLS), file=sys.stdout if form == "terminal" else sys.stderr)
