"""Write one HTML file with the tables and figures of runs and sweeps.

For example:
  runner report outputs/sweeps/sizes -o report.html
  runner report outputs/sweeps/before outputs/sweeps/after -o report.html
"""

from argparse import Namespace
from pathlib import Path

from runner.commands.words import Parser, unusable
from runner.lookup import BadInput


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner report", description=__doc__)
    add = parser.add_argument
    add("tables", nargs="+", metavar="PATH", help="CSV file, run or sweep; the first: baseline")
    add("-o", "--output", metavar="FILE", required=True, help="where to, such as report.html")
    return parser


def do(options: Namespace) -> int:
    """Write it."""
    place = Path(options.output)
    if place.is_dir():
        raise BadInput("-o", "a file", f"the folder {place}", where="report")
    if place.suffix.lower() not in (".html", ".htm"):  # the table after -o would be lost
        raise BadInput("-o", "a name that ends in .html", str(place), where="report")

    from runner.report.page import report
    from runner.tables.results import read_results
    from runner.tables.store import write_bytes

    with unusable("report"):
        text = report([read_results(given) for given in options.tables])
    content = text.encode(errors="replace")  # a path may have bytes that are no text
    try:
        write_bytes(place, content)
    except OSError as error:
        raise BadInput("-o", "a file to write", error.strerror, where="report") from error
    print(f"{place}: {len(content):,} bytes")
    return 0
