"""Summarize a sweep over its replicates, and rank what the runs can separate.

For example:
  runner summarize outputs/sweeps/sizes
  runner summarize outputs/sweeps/sizes --by network --metric test_loss
"""

from argparse import Namespace

from runner.commands.tables import FORMATS, WHOLE, chosen_metrics, say_aside, split
from runner.commands.words import Parser, unusable


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner summarize", description=__doc__)
    add = parser.add_argument
    add("table", metavar="DIR", help="the folder of a sweep, or a CSV file")
    add("--by", metavar="KEYS", help="columns with commas between; those that vary unless given")
    add("--metric", action="append", metavar="M", help="accuracy, test_loss, fit_seconds, ...")
    add("--format", choices=FORMATS, default="terminal", help="terminal unless given")
    return parser


def do(options: Namespace) -> int:
    """Rank, and show it."""
    from runner.report.comparison import show_ranking
    from runner.report.terminal import terminal
    from runner.tables.comparison import METRICS
    from runner.tables.ranking import rank
    from runner.tables.results import read_results

    metrics = chosen_metrics(options.metric, METRICS, "summarize")
    with unusable("summarize"):
        ranking = rank(read_results(options.table), split(options.by), metrics)
    show_ranking(ranking, options.format, terminal())
    say_aside([] if options.format in WHOLE else ranking.notes, options.format)
    return 0
