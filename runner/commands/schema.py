"""Print the JSON Schema of experiments, of a group's choices, or of result tables.

For example:
  runner schema > schema.json
  runner schema activation > activation.json
"""

from argparse import Namespace
from collections.abc import Iterable

from runner.choices import groups
from runner.commands.words import Parser

EPILOG = """\
`config` is of experiments, `hydra` of presets of launchers and sweepers, `results` of the tables
that a run writes, any other of the choices of that group. An editor checks a YAML file by the
schema that its comment names: # yaml-language-server: $schema=activation.json
"""


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner schema", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    about = f"{', '.join(words())}; config unless given"
    add("what", metavar="what", nargs="?", choices=words(), default="config", help=about)
    return parser


def words() -> Iterable[str]:
    """Return what has a schema."""
    own = (group for group in groups() if "/" not in group and group != "experiment")
    return ("config", *own, "hydra", "results")


def do(options: Namespace) -> int:
    """Print it."""
    from runner import schema
    from runner.tables import columns

    of_tables = options.what == "results"
    print(schema.dumps(columns.json_schema() if of_tables else schema.json_schema(options.what)))
    return 0
