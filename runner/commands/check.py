"""Compose and build every choice and every experiment, without running them.

For example:
  runner check                          all that the program has
  runner check and_gate activation/relu
  runner check --config-dir mine --run  your own, experiments that carry `expect` run too
"""

import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from runner.choices import CONF, groups
from runner.commands.words import Parser


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner check", description=__doc__)
    parser.add_argument("names", nargs="*", help="experiments, group/choice, and key=value")
    parser.add_argument("-cd", "--config-dir", metavar="DIR", help="check only what DIR holds")
    parser.add_argument("--run", action="store_true", help="run experiments that carry `expect`")
    return parser


def words(folder: Path | str = CONF) -> Iterator[str]:
    """Yield what can be checked of a folder."""
    for group, choices in groups(folder).items():
        yield from (f"{group}/{choice}".removeprefix("experiment/") for choice in choices)


def do(options: Namespace) -> int:
    """Check, and show the findings."""
    started = time.perf_counter()
    overrides = [word for word in options.names if "=" in word]
    names = [word for word in options.names if "=" not in word]

    from runner.check import check
    from runner.report.terminal import grid, terminal

    found = list(check(names, overrides, options.config_dir, run=options.run))
    rows = [(item.choice, item.status, item.reason) for item in found]
    terminal().print(grid(("choice", "status", "reason"), rows, left=3))
    failed = sum(item.status == "failed" for item in found)
    seconds = time.perf_counter() - started
    print(f"{len(found) - failed} of {len(found)} in order, {seconds:.1f} s")
    return 1 if failed else 0
