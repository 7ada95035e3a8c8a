"""List the config groups and their choices, one line of explanation each.

For example:
  runner choices
  runner choices activation
  runner choices --config-dir mine      your own
"""

from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from runner.choices import CONF, groups
from runner.commands.words import Parser
from runner.lookup import BadInput, did_you_mean


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner choices", description=__doc__)
    parser.add_argument("group", nargs="?", help="only this group")
    parser.add_argument("-cd", "--config-dir", metavar="DIR", help="the groups of this folder")
    return parser


def words(folder: Path | str = CONF) -> Iterable[str]:
    """Return the groups of a folder."""
    return groups(folder)


def do(options: Namespace) -> int:
    """Print them."""
    found = groups(options.config_dir or CONF)
    if options.group is not None:
        if options.group not in found:
            raise BadInput(
                "GROUP",
                "one of " + ", ".join(found),
                options.group,
                where="choices",
                hint=did_you_mean(options.group, found),
            )
        found = {options.group: found[options.group]}
    for group, members in found.items():
        print(group)
        width = max(16, *map(len, members))
        for name, about in members.items():
            print(f"  {name:<{width}} {about}")
    return 0
