"""Go on with a sweep, or with a training from its last checkpoint.

For example:
  runner resume outputs/sweeps/sizes
  runner resume outputs/runs/<date>/<time>_<run_id>
"""

from argparse import Namespace
from pathlib import Path

from runner.commands.run import show_jobs, show_result
from runner.commands.words import Parser


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner resume", description=__doc__)
    add = parser.add_argument
    add("folder", metavar="DIR", help="the folder of the sweep or of the run")
    add("-cd", "--config-dir", metavar="DIR", help="where the folder of your own choices is now")
    add("--own-code", action="store_true", help="run the modules that another's record names")
    return parser


def do(options: Namespace) -> int:
    """Run what is missing, and show it."""
    from runner import app
    from runner.report.terminal import job_progress, progress_bar, terminal
    from runner.tables.store import is_sweep

    folder = options.folder
    where = {"config_dir": options.config_dir, "own_code": options.own_code}
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
