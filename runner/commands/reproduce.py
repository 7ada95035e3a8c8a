"""Run a recorded run again and verify its numbers.

For example:
  runner reproduce outputs/runs/<date>/<time>_<run_id>
  runner reproduce path/to/run data_dir=path/to/mnist --config-dir mine
"""

from argparse import Namespace

from runner.commands.words import Parser
from runner.lookup import BadInput


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner reproduce", description=__doc__)
    add = parser.add_argument
    add("folder", metavar="RUN_DIR", help="the folder of a run, or of a job of a sweep")
    add("places", nargs="*", metavar="KEY=PATH", help="data_dir, dataset.path or weights.path now")
    add("-cd", "--config-dir", metavar="DIR", help="the run's folder of choices")
    add("--own-code", action="store_true", help="run the modules of your own that it names")
    add("--allow-changes", action="store_true", help="run whatever has changed: numbers decide")
    add("--strict-times", action="store_true", help="times outside their interval fail too")
    return parser


def do(options: Namespace) -> int:
    """Run it again, and show what is and what is not as it was."""
    for word in options.places:
        if "=" not in word:
            raise BadInput("KEY=PATH", "a key with its value", word, where="reproduce")
    places = dict(word.split("=", 1) for word in options.places)

    from runner.report.reproduction import show_reproduction
    from runner.report.terminal import progress_bar, terminal
    from runner.reproduce import reproduce

    with progress_bar(terminal()) as progress:
        result = reproduce(
            options.folder,
            places,
            config_dir=options.config_dir,
            own_code=options.own_code,
            allow_changes=options.allow_changes,
            strict_times=options.strict_times,
            progress=progress,
        )
    show_reproduction(result, terminal())
    return 0 if result.holds else 1
