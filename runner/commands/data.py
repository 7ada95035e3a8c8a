"""Fetch a dataset into the user's cache, or verify the files of one.

For example:
  runner data fetch mnist
  runner data verify mnist --data-dir path/to/mnist
"""

import sys
from argparse import Namespace

from runner.commands.words import Parser
from runner.lookup import BadInput

ACTIONS = ("fetch", "verify")
NAMES = ("mnist", "fashion_mnist", "mnist5k")


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner data", description=__doc__)
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("name", metavar="NAME", choices=NAMES, help=", ".join(NAMES))
    parser.add_argument("--data-dir", metavar="DIR", help="verify the files of this folder")
    return parser


def do(options: Namespace) -> int:
    """Fetch or verify, and show each file's verdict."""
    from runner.data import DataError, fetch, verify
    from runner.report.terminal import grid, terminal

    try:
        if options.action == "fetch":
            rows = fetch(options.name, progress=sys.stderr.isatty())
        else:
            rows = verify(options.name, options.data_dir)
    except DataError as error:
        raise BadInput.because("", error, where="command line") from error
    cells = [
        (
            row.file,
            f"{row.bytes:,}",
            row.sha256[:12],
            "ok" if row.ok else "WRONG" if row.sha256 else "missing",
        )
        for row in rows
    ]
    terminal().print(grid(("file", "bytes", "SHA-256", "verdict"), cells, left=1))
    return 0 if all(row.ok for row in rows) else 1
