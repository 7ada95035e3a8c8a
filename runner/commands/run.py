"""Do one run, a sweep with -m, or show the configuration: what `runner` does by itself."""

import argparse
import gc
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING

from runner.commands.words import Parser, complain
from runner.lookup import BadInput

if TYPE_CHECKING:
    from runner.result import RunResult
    from runner.sweeps.sweeper import SweepResult


def parser() -> Parser:
    """Return the parser of everything that is not a command."""
    parser = Parser(prog="runner", add_help=False, usage=argparse.SUPPRESS, allow_abbrev=False)
    add = parser.add_argument
    add("-h", "--help", action="store_true", help="this text")
    add("-m", "--multirun", action="store_true", help="sweep over lists, ranges and globs")
    add("-cd", "--config-dir", metavar="DIR", help="a folder of your own choices")
    about = "show the configuration, do not run: job, hydra or all"
    add("-c", "--cfg", metavar="PART", choices=("job", "hydra", "all"), help=about)
    add("--resolve", action="store_true", help="with --cfg: resolve interpolations")
    add("-p", "--package", metavar="KEY", help="with --cfg: only what is below a key")
    add(
        "-i",
        "--info",
        nargs="?",
        const="all",
        metavar="TOPIC",
        help="about Hydra: defaults, searchpath, ...",
        choices=("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    )
    add("--version", action="store_true", help="show the version")
    add("overrides", nargs="*", help=argparse.SUPPRESS)
    return parser


def do(options: argparse.Namespace) -> int:
    """Run, sweep, or show the configuration."""
    if options.version:
        from runner import __version__

        print(f"runner {__version__}")
        return 0
    if options.cfg or options.info:
        if options.multirun:
            raise BadInput("-m", "a sweep, or something to show", "both", where="command line")
        return show(options)
    if options.multirun:
        return sweep(options)
    return run(options)


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


def show(options: argparse.Namespace) -> int:
    """Show the configuration, or what Hydra knows of it."""
    from hydra.types import RunMode

    from runner.app import composer

    with composer(options.config_dir, builds=False) as hydra:
        if options.info:
            hydra.show_info(options.info, "config", options.overrides, RunMode.RUN)
            return 0
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
    from runner.report.terminal import print_text, show_run, shown, terminal

    if result.status != "completed" and not result.verdicts:
        return complain(f"{shown(result.folder)}: {result.status}: {result.row['error']}", 1)
    show_run(result.row, result.tables, result.folder, terminal(), result.small)
    for note in result.notes:
        print_text(terminal(), note)
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
