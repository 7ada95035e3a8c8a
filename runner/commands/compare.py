"""Compare result tables, statistically; exit 1 when a gate holds beyond noise.

For example:
  runner compare outputs/sweeps/before outputs/sweeps/after --metric accuracy
  runner compare main.csv outputs/sweeps/after --fail-if "accuracy < baseline - 0.002"
"""

from argparse import Namespace

from runner.commands.tables import FORMATS, WHOLE, chosen_metrics, say_aside
from runner.commands.words import Parser, unusable
from runner.lookup import BadInput


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner compare", description=__doc__)
    add = parser.add_argument
    add("tables", nargs="+", metavar="TABLE", help="CSV file, run or sweep; the first: baseline")
    add("--metric", action="append", metavar="M", help="accuracy, test_loss, fit_seconds, ...")
    add(
        "--fail-if",
        action="append",
        metavar="EXPR",
        default=[],
        help="a gate, such as 'accuracy < baseline - 0.002'",
    )
    add("--format", choices=FORMATS, default="terminal", help="terminal unless given")
    add("--any-machine", action="store_true", help="compare times of other machines or threads")
    return parser


def do(options: Namespace) -> int:
    """Compare, show it, and judge by the gates."""
    if len(options.tables) < 2:
        expected, where = "two tables or more", "command line"
        raise BadInput("compare", expected, options.tables[0], where=where)

    from runner.report.comparison import gate_line, remarks, show_comparison
    from runner.report.terminal import terminal
    from runner.tables.compare import compare
    from runner.tables.comparison import METRICS
    from runner.tables.gate import parse
    from runner.tables.results import read_results

    metrics = chosen_metrics(options.metric, METRICS, "compare")
    with unusable("compare: --fail-if"):
        gates = [parse(text, METRICS) for text in options.fail_if]
    with unusable("compare"):
        tables = [read_results(given) for given in options.tables]
        outcome = compare(tables, metrics, gates, any_machine=options.any_machine)
    show_comparison(outcome, options.format, terminal())
    lines = [gate_line(item) for item in outcome.gates if item.state != "does not hold"]
    say_aside(lines if options.format in WHOLE else [*remarks(outcome), *lines], options.format)
    if any(item.state == "holds" for item in outcome.gates):
        return 1
    for item in outcome.gates:
        if item.state == "not comparable":
            expected, got = "values that can be compared", item.comparison.note
            raise BadInput("--fail-if", expected, got, where="compare")
    return 0
