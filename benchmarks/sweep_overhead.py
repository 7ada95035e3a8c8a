"""What a sweep of small jobs costs: this program's launcher beside Hydra's basic one.

python benchmarks/sweep_overhead.py [--jobs 100] [--rounds 1]

Each sweep is `task=perceptron dataset=and,or seed=range(0, jobs/2)` in a process of its own,
in a folder of its own, all thrown away at the end (some file systems are slow to make files
where many have just been removed); the three alternate:

runner: this program's launcher.
basic: Hydra's basic launcher, with this program's way to compose a job.
hydra: Hydra's basic launcher, with Hydra's way to compose a job.

jobs/s, ms a job: what a job adds to a sweep of two, its part of the plan and the table included.
CPU ms: the same in processor time, which other programs at work disturb less.
first, last: milliseconds between the ends of jobs, in the first and in the last quarter.
start-up: seconds from the start of the process to the end of the first job of a sweep of two.
memory: the largest that the process was, in MB.
"""

import argparse
import csv
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from runner.environment import cpu_model

LAUNCHERS = {"runner": "runner", "basic": "basic", "hydra": "basic"}
HEADS = ("jobs/s", "ms a job", "CPU ms", "first", "last", "start-up s", "memory MB")
RUN = """\
import resource, sys
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from runner.cli import main
from runner.compose.loader import Loader
from runner.tables.store import job_folder
def compose(loader, master, words):
    stock = ConfigLoaderImpl(loader.config_search_path)
    cfg = stock.load_sweep_config(master, words)
    cfg.hydra.job.chdir = False
    cfg.hydra.sweep.dir = master.hydra.sweep.dir
    cfg.hydra.sweep.subdir = job_folder(loader.identify(master, words).run_id)  # it is planned
    return cfg

who, *words = sys.argv[1:]
if who == "hydra":
    Loader.load_sweep_config = compose
status = main(words)
used = resource.getrusage(resource.RUSAGE_SELF)
print("used", used.ru_utime + used.ru_stime, used.ru_maxrss)
raise SystemExit(status)
"""


class Sweep(NamedTuple):
    """A sweep that was measured: when its jobs ended, in seconds from its start."""

    ends: list[float]
    seconds: float
    cpu: float
    memory: float

    def quarter(self, number: int) -> float:
        """Return seconds between the ends of jobs in one of four parts, from 0."""
        size = max(1, (len(self.ends) - 1) // 4)
        first = min(number * size, len(self.ends) - 1 - size)
        return (self.ends[first + size] - self.ends[first]) / size


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{cpu_model()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    rows: dict[str, list[tuple[Sweep, Sweep]]] = {name: [] for name in LAUNCHERS}
    with tempfile.TemporaryDirectory() as place:
        for _ in range(arguments.rounds):
            for name in LAUNCHERS:
                rows[name].append((sweep(name, 2, place), sweep(name, arguments.jobs, place)))
    print(f"{arguments.jobs} jobs, median of {arguments.rounds}\n")
    print("".join(f"{head:>12}" for head in ("", *HEADS)))
    speeds = {}
    for name, measured in rows.items():
        columns = zip(*(numbers(*pair) for pair in measured), strict=True)
        medians = [median(column) for column in columns]
        speeds[name] = medians[0]
        print(f"{name:>12}" + "".join(f"{number:12.2f}" for number in medians))
    for name in ("basic", "hydra"):
        print(f"\njobs per second, runner / {name}: {speeds['runner'] / speeds[name]:.1f}")


def numbers(small: Sweep, large: Sweep) -> list[float]:
    """Return the numbers of a row of the table."""
    more = len(large.ends) - len(small.ends)
    each, cpu = (large.seconds - small.seconds) / more, (large.cpu - small.cpu) / more
    quarters = [1000 * large.quarter(number) for number in (0, 3)]
    return [1 / each, 1000 * each, 1000 * cpu, *quarters, small.ends[0], large.memory]


def sweep(name: str, jobs: int, place: str) -> Sweep:
    """Run a sweep in a process of its own; its table says when each job ended."""
    words = ["task=perceptron", "dataset=and,or", f"seed=range(0,{jobs // 2})", "sweep.name=s"]
    words += [f"hydra/launcher={LAUNCHERS[name]}"]
    command = [sys.executable, "-c", RUN, name, "-m", *words]
    folder = tempfile.mkdtemp(dir=place)
    started, clock = time.time(), time.perf_counter()
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - clock
    with Path(folder, "outputs/sweeps/s/results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ends = [
        datetime.fromisoformat(row["started_at"]).timestamp() + float(row["duration_seconds"])
        for row in rows
    ]
    scale = 2**20 if sys.platform == "darwin" else 2**10
    cpu, memory = map(float, done.stdout.split()[-2:])
    return Sweep([end - started for end in sorted(ends)], seconds, cpu, memory / scale)


if __name__ == "__main__":
    main()
