"""Print the JSON Schema of the configuration, or of the result tables."""

import json
from argparse import Namespace
from collections.abc import Iterable

from runner.commands.words import Parser

SCHEMAS = ("config", "results")


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner schema", description=__doc__)
    parser.add_argument("what", nargs="?", choices=SCHEMAS, default="config")
    return parser


def words() -> Iterable[str]:
    """Return what has a schema."""
    return SCHEMAS


def do(options: Namespace) -> int:
    """Print it."""
    from runner import config
    from runner.tables import columns

    shown = config.json_schema() if options.what == "config" else columns.json_schema()
    print(json.dumps(shown, indent=2, ensure_ascii=False))
    return 0
