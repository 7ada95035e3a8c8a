"""The command line: which command is meant, and the exit status it ends with.

Help is answered before anything heavy is imported.
"""

import argparse
import gc
import io
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from runner.lookup import BadInput, did_you_mean, interrupt_behind, one_of

if TYPE_CHECKING:
    from runner.job import RunResult
    from runner.sweeps.sweeper import SweepResult

HELP = """\
usage: runner [options] [key=value ...]     one run, or with -m a sweep
       runner COMMAND [...]                 `runner COMMAND -h` explains each

Neural networks in plain NumPy, declared in YAML.

examples:
  runner                                                classify 5,000 digits
  runner batch_size=[1,10,100,1000]                     a timing block for each
  runner task=training dataset=digits                   train from scratch
  runner -m activation='glob(*)' output=softmax,identity
  runner experiment=and_gate

commands:
{commands}

options:
{options}

groups and their choices (`runner choices GROUP` explains them):
{choices}

Any other key of the configuration can be set too: `runner --cfg job` shows all.
"""


CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "\ufffd")  # what a terminal would obey


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run like Ctrl-C does."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are bad input like any other."""

    def error(self, message: str) -> NoReturn:
        """Raise BadInput."""
        # Python's words for it have changed from one version to the next.
        form = r"argument (?:-\w+/)?([\w-]+): invalid choice: '(.*?)' \(choose from (.*)\)"
        if choice := re.fullmatch(form, message):
            options = re.findall(r"[\w-]+", choice[3])
            hint = did_you_mean(choice[2], options)
            where = self.prog.removeprefix("runner ").replace("runner", "command line")
            raise BadInput(choice[1], one_of(options), choice[2], where=where, hint=hint)
        raise BadInput.because(self.prog, message, where="command line")


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Returns
    -------
    0 done; 1 a check or a job did not hold; 2 bad input; 130 and 143 after SIGINT and SIGTERM.
    """
    words = list(sys.argv[1:] if words is None else words)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # `python -m` has it, the console script has not
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # better than no answer
    try:
        with terminating():
            status = dispatch(words)
            sys.stdout.flush()  # here, where a reader who has gone is expected
            return status
    except (Exception, KeyboardInterrupt) as error:
        interrupt = interrupt_behind(error)
        if interrupt is None:
            return failure(error)
        if isinstance(interrupt, Terminated):
            return complain(said("terminated", interrupt), 143)
        return complain(said("interrupted", interrupt), 130)


def failure(error: BaseException) -> int:
    """Say what went wrong and return the status; raise again what is a mistake of the program."""
    if isinstance(error, BadInput):
        return complain(error, 2)
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, OSError):
        return complain(f"{error.filename or 'system'}: {error.strerror or error}", 1)
    raise error


def said(word: str, error: BaseException) -> str:
    """Return a word and the notes that an exception was given on its way."""
    return "; ".join([word, *getattr(error, "__notes__", ())])


@contextmanager
def terminating() -> Iterator[None]:
    """Turn SIGTERM into an exception while the program is at work."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may ask for signals
        return

    def terminate(number: int, frame: object) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def loading() -> Iterator[None]:
    """Load the program without looking for garbage, of which modules make none.

    Python would look through all modules again and again: 5 % of a sweep's start.
    """
    if "runner.app" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def complain(message: object, status: int) -> int:
    """Print one line on stderr, with nothing in it that a terminal obeys; return the status."""
    print(" ".join(f"error: {message}".split()).translate(CONTROLS), file=sys.stderr)
    return status


def dispatch(words: list[str]) -> int:
    """Find the command and do it."""
    if words[:1] and re.fullmatch(r"[^-+~=][^=]*", words[0]):
        name = words[0]
        if name not in COMMANDS:
            expected = "a command (" + ", ".join(COMMANDS) + ") or key=value"
            raise BadInput(
                name, expected, name, where="command line", hint=did_you_mean(name, COMMANDS)
            )
        return COMMANDS[name](words[1:])
    options = option_parser().parse_intermixed_args(words)
    if options.help:
        print(help_text(), end="")
        return 0
    return compose(options)


def option_parser() -> Parser:
    """Return the parser of everything that is not a command."""
    parser = Parser(prog="runner", add_help=False, usage=argparse.SUPPRESS, allow_abbrev=False)
    add = parser.add_argument
    add("-h", "--help", action="store_true", help="this text")
    add("-m", "--multirun", action="store_true", help="sweep over lists, ranges and globs")
    add("-cd", "--config-dir", metavar="DIR", help="a folder of your own choices")
    add("-c", "--cfg", choices=("job", "hydra", "all"), help="show the configuration, do not run")
    add("--resolve", action="store_true", help="with --cfg: resolve interpolations")
    add("-p", "--package", help="with --cfg: only this part")
    add(
        "-i",
        "--info",
        nargs="?",
        const="all",
        help="about Hydra: defaults, searchpath, ...",
        choices=("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    )
    add("-sc", "--shell-completion", action="store_true", help="install or query tab completion")
    add("--version", action="store_true", help="show the version")
    add("overrides", nargs="*", help=argparse.SUPPRESS)
    return parser


def help_text() -> str:
    """Return the help with the commands, the options and the choices."""
    from runner.choices import listing

    options = option_parser().format_help().partition("options:\n")[2].rstrip()
    lines = [
        f"  {name:<10} {(function.__doc__ or '').strip().splitlines()[0]}"
        for name, function in COMMANDS.items()
    ]
    return HELP.format(commands="\n".join(lines), options=options, choices=listing())


def compose(options: argparse.Namespace) -> int:
    """Run, sweep, or show the configuration."""
    if options.version:
        from runner import __version__

        print(f"runner {__version__}")
        return 0
    if options.cfg or options.info or options.shell_completion:
        if options.multirun:
            raise BadInput("-m", "a sweep, or something to show", "both", where="command line")
        return show(options)
    if options.multirun:
        return sweep(options)
    return run(options)


def show(options: argparse.Namespace) -> int:
    """Show the configuration, or what Hydra knows of it."""
    from hydra.types import RunMode

    from runner.app import composer

    with composer(options.config_dir, builds=False) as hydra:
        if options.info:
            hydra.show_info(options.info, "config", options.overrides, RunMode.RUN)
        elif options.shell_completion:
            hydra.shell_completion("config", options.overrides)
        else:
            try:
                with redirect_stderr(io.StringIO()):
                    hydra.show_cfg(
                        "config", options.overrides, options.cfg, options.package, options.resolve
                    )
            except SystemExit:
                expected = "a part of the configuration"
                where = "command line"
                raise BadInput("--package", expected, options.package, where=where) from None
    return 0


def run(options: argparse.Namespace) -> int:
    """Do one run and show its tables."""
    with loading():
        from runner import app
        from runner.report.terminal import progress_bar, terminal

    with progress_bar(terminal()) as progress:
        result = app.run(options.overrides, config_dir=options.config_dir, progress=progress)
    return show_result(result)


def show_result(result: "RunResult") -> int:
    """Show the tables of a run, or its one line where it did not complete."""
    from runner.report.terminal import show_run, shown, terminal

    if result.status != "completed" and not result.verdicts:
        return complain(f"{shown(result.folder)}: {result.status}: {result.row['error']}", 1)
    show_run(result.row, result.tables, result.folder, terminal(), result.small)
    if result.unchecked:
        print("expectations not checked, changed by", *result.unchecked)
    return 0 if result.as_expected else 1


def sweep(options: argparse.Namespace) -> int:
    """Run what is missing of a sweep and show its results."""
    with loading():
        from runner import app
        from runner.report.terminal import job_progress, terminal

    with job_progress(terminal()) as watch:
        result = app.run_sweep(options.overrides, config_dir=options.config_dir, watch=watch)
    return show_jobs(result)


def show_jobs(result: "SweepResult") -> int:
    """Show the rows of a sweep, or what it would do."""
    from runner.report.terminal import show_plan, show_sweep, terminal

    if result.plan_only:
        show_plan(result.results, result.counts, result.changed, terminal())
        return 0
    show_sweep(result.results, result.counts, result.folder, terminal(), result.unexpected)
    complete = result.counts.done == result.counts.total
    return 0 if complete and not result.unexpected else 1


def check(words: Sequence[str]) -> int:
    """Compose and build every choice and every experiment, without running them."""
    parser = Parser(prog="runner check", description=check.__doc__)
    parser.add_argument("names", nargs="*", help="experiments, group/choice, and key=value")
    parser.add_argument("-cd", "--config-dir", metavar="DIR", help="check only what DIR holds")
    parser.add_argument("--run", action="store_true", help="run experiments that carry `expect`")
    options = parser.parse_intermixed_args(list(words))
    started = time.perf_counter()
    overrides = [word for word in options.names if "=" in word]
    names = [word for word in options.names if "=" not in word]

    from runner.check import check as findings
    from runner.report.terminal import grid, terminal

    found = list(findings(names, overrides, options.config_dir, run=options.run))
    rows = [(item.choice, item.status, item.reason) for item in found]
    terminal().print(grid(("choice", "status", "reason"), rows, left=3))
    failed = sum(item.status == "failed" for item in found)
    seconds = time.perf_counter() - started
    print(f"{len(found) - failed} of {len(found)} in order, {seconds:.1f} s")
    return 1 if failed else 0


def choices(words: Sequence[str]) -> int:
    """List the config groups and their choices, one line of explanation each."""
    from runner.choices import CONF, groups

    parser = Parser(prog="runner choices", description=choices.__doc__)
    parser.add_argument("group", nargs="?", help="only this group")
    parser.add_argument("-cd", "--config-dir", metavar="DIR", help="the groups of this folder")
    options = parser.parse_args(words)
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


def resume(words: Sequence[str]) -> int:
    """Go on with a sweep, or with a training from its last checkpoint."""
    parser = Parser(prog="runner resume", description=resume.__doc__)
    add = parser.add_argument
    add("folder", metavar="DIR", help="the folder of the sweep or of the run")
    add("-cd", "--config-dir", metavar="DIR", help="where the folder of your own choices is now")
    add("--own-code", action="store_true", help="run the modules that another's record names")
    options = parser.parse_intermixed_args(list(words))
    folder = options.folder
    where = {"config_dir": options.config_dir, "own_code": options.own_code}

    from runner import app
    from runner.report.terminal import job_progress, progress_bar, terminal
    from runner.tables.store import is_sweep

    if is_sweep(Path(folder)):
        with job_progress(terminal()) as watch:
            return show_jobs(app.resume_sweep(folder, watch=watch, **where))
    with progress_bar(terminal()) as progress:
        result = app.resume(folder, progress=progress, **where)
    if result is None:
        print(f"{folder} is complete")
        return 0
    if result.status == "completed":
        done = result.records.restored
        print(f"went on after epoch {done}" if done else "no checkpoint: started over")
    return show_result(result)


def reproduce(words: Sequence[str]) -> int:
    """Run a recorded run again and verify its numbers."""
    parser = Parser(prog="runner reproduce", description=reproduce.__doc__)
    add = parser.add_argument
    add("folder", metavar="RUN_DIR", help="the folder of a run, or of a job of a sweep")
    add("places", nargs="*", metavar="KEY=PATH", help="data_dir, dataset.path or weights.path now")
    add("-cd", "--config-dir", metavar="DIR", help="the run's folder of choices")
    add("--own-code", action="store_true", help="run the modules of your own that it names")
    add("--allow-changes", action="store_true", help="run whatever has changed: numbers decide")
    add("--strict-times", action="store_true", help="times outside their interval fail too")
    options = parser.parse_intermixed_args(list(words))
    for word in options.places:
        if "=" not in word:
            raise BadInput("KEY=PATH", "a key with its value", word, where="reproduce")
    places = dict(word.split("=", 1) for word in options.places)

    from runner.report.reproduction import show_reproduction
    from runner.report.terminal import progress_bar, terminal
    from runner.reproduce import reproduce as reproducing

    with progress_bar(terminal()) as progress:
        result = reproducing(
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


FORMATS = ("terminal", "csv", "markdown", "latex", "json")
WHOLE = ("terminal", "json")  # which have room for notes


def compare(words: Sequence[str]) -> int:
    """Compare result tables, statistically; exit 1 when a gate holds beyond noise."""
    parser = Parser(prog="runner compare", description=compare.__doc__)
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
    options = parser.parse_intermixed_args(list(words))
    if len(options.tables) < 2:
        expected, where = "two tables or more", "command line"
        raise BadInput("compare", expected, options.tables[0], where=where)

    from runner.report.comparison import gate_line, remarks, show_comparison
    from runner.report.terminal import terminal
    from runner.tables import compare as comparing
    from runner.tables.comparison import METRICS
    from runner.tables.gate import parse
    from runner.tables.results import read_results

    metrics = chosen_metrics(options.metric, METRICS, "compare")
    with unusable("compare: --fail-if"):
        gates = [parse(text, METRICS) for text in options.fail_if]
    with unusable("compare"):
        tables = [read_results(given) for given in options.tables]
        outcome = comparing.compare(tables, metrics, gates, any_machine=options.any_machine)
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


def summarize(words: Sequence[str]) -> int:
    """Summarize a sweep over its replicates, and rank what the runs can separate."""
    parser = Parser(prog="runner summarize", description=summarize.__doc__)
    add = parser.add_argument
    add("table", metavar="DIR", help="the folder of a sweep, or a CSV file")
    add("--by", metavar="KEYS", help="columns with commas between; those that vary unless given")
    add("--metric", action="append", metavar="M", help="accuracy, test_loss, fit_seconds, ...")
    add("--format", choices=FORMATS, default="terminal", help="terminal unless given")
    options = parser.parse_intermixed_args(list(words))

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


def say_aside(lines: Sequence[str], form: str) -> None:
    """Print what is no part of a table; what another program reads stays free of it."""
    for line in lines:
        print(line.translate(CONTROLS), file=sys.stdout if form == "terminal" else sys.stderr)


def report(words: Sequence[str]) -> int:
    """Write one HTML file with the tables and figures of runs and sweeps."""
    parser = Parser(prog="runner report", description=report.__doc__)
    add = parser.add_argument
    add("tables", nargs="+", metavar="PATH", help="CSV file, run or sweep; the first: baseline")
    add("-o", "--output", metavar="FILE", required=True, help="where to, such as report.html")
    options = parser.parse_intermixed_args(list(words))
    place = Path(options.output)
    if place.is_dir():
        raise BadInput("-o", "a file", f"the folder {place}", where="report")
    if place.suffix.lower() not in (".html", ".htm"):  # the table after -o would be lost
        raise BadInput("-o", "a name that ends in .html", str(place), where="report")

    from runner.report.page import report as page
    from runner.tables.results import read_results
    from runner.tables.store import write_bytes

    with unusable("report"):
        text = page([read_results(given) for given in options.tables])
    content = text.encode(errors="replace")  # a path may have bytes that are no text
    try:
        write_bytes(place, content)
    except OSError as error:
        raise BadInput("-o", "a file to write", error.strerror, where="report") from error
    print(f"{place}: {len(content):,} bytes")
    return 0


@contextmanager
def unusable(where: str) -> Iterator[None]:
    """Turn a complaint about a table or a gate into bad input."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise BadInput.because("", error, where=where) from error


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


def schema(words: Sequence[str]) -> int:
    """Print the JSON Schema of the configuration, or of the result tables."""
    import json

    parser = Parser(prog="runner schema", description=schema.__doc__)
    parser.add_argument("what", nargs="?", choices=("config", "results"), default="config")
    what = parser.parse_args(words).what

    from runner import config
    from runner.tables import columns

    shown = config.json_schema() if what == "config" else columns.json_schema()
    print(json.dumps(shown, indent=2, ensure_ascii=False))
    return 0


def data(words: Sequence[str]) -> int:
    """Fetch a dataset into the user's cache, or verify the files of one."""
    parser = Parser(prog="runner data", description=data.__doc__)
    parser.add_argument("action", choices=("fetch", "verify"))
    parser.add_argument("name", help="mnist, fashion_mnist or mnist5k")
    parser.add_argument("--data-dir", metavar="DIR", help="verify the files of this folder")
    options = parser.parse_args(words)

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


def export(words: Sequence[str]) -> int:
    """Hand a run or a sweep to another tool."""
    from runner.export import EXPORTERS

    about = "; ".join(f"{name}: {exporter.about}" for name, exporter in EXPORTERS.items())
    parser = Parser(prog="runner export", description=export.__doc__, epilog=about)
    parser.add_argument("format", choices=EXPORTERS, help=", ".join(EXPORTERS))
    parser.add_argument("path", metavar="DIR", help="the folder of a run or of a sweep")
    parser.add_argument("-o", "--output", metavar="OUT", help="a folder; the format's name if none")
    options = parser.parse_args(words)
    exporter = EXPORTERS[options.format]
    exporting = exporter.load(options.format)
    with unusable("export"):
        print(exporting(Path(options.path), Path(options.output or exporter.out)))
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "check": check,
    "choices": choices,
    "compare": compare,
    "data": data,
    "export": export,
    "report": report,
    "reproduce": reproduce,
    "resume": resume,
    "schema": schema,
    "summarize": summarize,
}
