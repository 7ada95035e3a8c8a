"""How fast the engine is beside what people would use instead: one table of ratios.

python benchmarks/compare_engines.py [--data-dir DIR] [--rounds 5] [--threads 1 2]
    [--only CASE ...] [--engines ENGINE ...] [--csv FILE]

DIR has the four official MNIST files. The libraries come with the extra `bench`.

An idle library's threads slow the others down, so each library runs in a
process of its own, kept on as many cores as it may have threads. A round
starts every process once; rounds alternate between the libraries, so that a
machine that slows down for a while slows all. What a library makes ready
before it starts, and the accuracy afterwards, are outside the clock. FILE has
a row for each measurement as soon as its process has ended; a library that
fails is named at the end, and the others go on.
"""

import argparse
import contextlib
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from engines.cases import CASES, Training

from runner.environment import blas, cpu_model

OURS = "project"
PACKAGES = {  # what the files of engines/ need
    OURS: ("numpy",),
    "pytorch": ("torch",),
    "pytorch_fused": ("torch",),
    "jax_scan": ("jax", "jaxlib"),
    "scikit_learn": ("scikit-learn",),
    "onnx_runtime": ("onnx", "onnxruntime"),
    "textbook": ("numpy",),
    "book": ("numpy",),
    "products": ("numpy",),
}
LEGEND = """\
project: median time. Others: median over the rounds of their time / the project's, and the
target in brackets, where there is one. After it the accuracy on the test images.
An epoch: the mean of those after the first; in an order drawn anew. A pass of the perceptrons:
the mean of all, with the samples in the order given. Peak memory: of a process from its start
to its last training, with libraries and data.
On 2 threads the project takes 1 for small networks and few samples. textbook: the book's layers
as it writes them, in float32; book: with its float64 weights and its second look at the loss.
products: the matrix products of the training alone, full size."""


class Row(NamedTuple):
    """One measurement: seconds of one epoch, pass or batch; accuracy on the test images.

    ``peak_mb`` is the most memory that the process has had so far, in 10^6 bytes.
    """

    round: int
    threads: int
    engine: str
    case: str
    seconds: float
    accuracy: float | None
    peak_mb: float | None


def main() -> None:
    """Measure, print the table; fail where an engine has, or the perceptrons' weights differ."""
    arguments, rows, failed = parse(), [], {}
    print(machine(), flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        (arguments.csv or Path(os.devnull)).open(
            "w", buffering=1, newline="", encoding="utf-8"
        ) as file,
    ):
        csv.writer(file).writerow(Row._fields)
        for row in measure(arguments, Path(folder), failed):
            csv.writer(file).writerow(row)
            rows.append(row)
        differences = weight_differences(Path(folder))
    print(f"\n{table(rows)}\n\n{LEGEND}")
    for engine, difference in differences.items():
        print(f"\nLargest difference of the perceptrons' weights from {engine}'s: {difference}")
    wrong = [f"{engine} failed: {error}" for engine, error in failed.items()]
    wrong += ["the perceptrons' weights differ"] * any(differences.values())
    if wrong:
        raise SystemExit("\n".join(wrong))


def parse() -> argparse.Namespace:
    """Return the command line's words, engines without what is not installed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--only",
        nargs="+",
        choices=CASES,
        default=list(CASES),
        metavar="CASE",
        help=", ".join(CASES),
    )
    peers = [engine for engine in PACKAGES if engine != OURS]
    parser.add_argument(
        "--engines",
        nargs="+",
        choices=peers,
        default=peers,
        metavar="ENGINE",
        help=", ".join(peers),
    )
    parser.add_argument("--csv", type=Path)
    arguments = parser.parse_args()
    missing = {engine for engine in arguments.engines if None in versions(engine).values()}
    for engine in sorted(missing):
        print(f"{engine}: left out, not installed (extra: bench)", file=sys.stderr)
    arguments.engines = [engine for engine in arguments.engines if engine not in missing]
    return arguments


def versions(engine: str) -> dict[str, str | None]:
    """Return the version of each package that an engine needs, None for one that is absent."""
    found: dict[str, str | None] = {}
    for package in PACKAGES[engine]:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def machine() -> str:
    """Return processor, system and versions, one per line."""
    packages = {name: at for engine in PACKAGES for name, at in versions(engine).items() if at}
    products = ", ".join(" ".join(filter(None, library.values())) for library in blas())
    return "\n".join(
        [
            f"{cpu_model()}, {os.cpu_count()} cores, {platform.platform()}",
            f"Python {platform.python_version()}, "
            + ", ".join(f"{name} {at}" for name, at in packages.items()),
            f"NumPy's products: {products}",
        ]
    )


def measure(arguments: argparse.Namespace, folder: Path, failed: dict[str, str]) -> Iterator[Row]:
    """Yield all measurements; the perceptrons' weights are left in the folder.

    An engine that fails is not started again, and its error is put into ``failed``.
    """
    rounds, engines = range(1, arguments.rounds + 1), [OURS, *arguments.engines]
    for number, threads, engine in product(rounds, arguments.threads, engines):
        cases = [case for case in arguments.only if engine in (OURS, *CASES[case].peers)]
        if cases and engine not in failed:
            started = time.perf_counter()
            weights_to = folder / engine / f"{number}-{threads}.npy"
            weights_to.parent.mkdir(exist_ok=True)
            done = run(engine, threads, cases, arguments.data_dir, weights_to)
            for line in done.stdout.splitlines():
                yield Row(number, threads, engine, **json.loads(line))
            took = f"{time.perf_counter() - started:.0f} s"
            if done.returncode != 0:
                took, failed[engine] = "failed", done.stderr.strip() or f"exit {done.returncode}"
            print(f"round {number}, threads {threads}, {engine}: {took}", file=sys.stderr)


def run(
    engine: str, threads: int, cases: Sequence[str], data_dir: Path | None, weights_to: Path
) -> subprocess.CompletedProcess[str]:
    """Measure one engine in a process of its own; it prints a line for each case."""
    script = Path(__file__).with_name("measure_engine.py")
    command = [sys.executable, str(script), engine, "--threads", str(threads), "--cases", *cases]
    command += ["--weights-to", str(weights_to)]
    command += ["--data-dir", str(data_dir)] if data_dir else []
    with on_cores(threads):
        return subprocess.run(
            command,
            env=os.environ | thread_settings(threads),
            capture_output=True,
            text=True,
            encoding="utf-8",
        )


def thread_settings(threads: int) -> dict[str, str]:
    """Return what the libraries read when they are imported."""
    names = ("OPENBLAS", "OMP", "MKL")
    many = "true" if threads > 1 else "false"
    return {
        **{f"{name}_NUM_THREADS": str(threads) for name in names},
        "VECLIB_MAXIMUM_THREADS": str(threads),
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={many} intra_op_parallelism_threads={threads}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONIOENCODING": "utf-8",
    }


@contextlib.contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Keep this process, and those that it starts meanwhile, on the last cores of the machine."""
    if not hasattr(os, "sched_setaffinity"):  # macOS and Windows
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def weight_differences(folder: Path) -> dict[str, float]:
    """Return the largest difference of each peer's perceptrons from the project's."""
    largest: dict[str, float] = {}
    for path in sorted(folder.glob("*/*.npy")):
        ours, engine = folder / OURS / path.name, path.parent.name
        if engine != OURS and ours.exists():
            difference = float(np.abs(np.load(path) - np.load(ours)).max())
            largest[engine] = max(difference, largest.get(engine, 0.0))
    return largest


def table(rows: list[Row]) -> str:
    """Return a Markdown table, a row per case and engine, a column per number of threads."""
    counts = list(dict.fromkeys(row.threads for row in rows))
    heads = [f"{count} thread{'s' * (count > 1)}" for count in counts]
    lines = [["case", "engine", *heads]]
    for case in dict.fromkeys(row.case for row in rows):
        lines += block(CASES[case].title, [row for row in rows if row.case == case], counts, cell)
    trained = [row for row in rows if isinstance(CASES[row.case], Training) and row.peak_mb]
    lines += block("peak memory of training", trained, counts, memory)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def block(
    title: str, rows: list[Row], counts: list[int], text: Callable[[list[Row], list[Row]], str]
) -> list[list[str]]:
    """Return lines of a table, one per engine, the first with the title."""
    lines = []
    for engine in (engine for engine in PACKAGES if any(row.engine == engine for row in rows)):
        cells = []
        for count in counts:
            alike = [row for row in rows if row.threads == count]
            own, ours = ([row for row in alike if row.engine == name] for name in (engine, OURS))
            cells.append(text(own, ours) if own else "")
        lines.append(["" if lines else title, engine.replace("_", " "), *cells])
    return lines


def cell(rows: list[Row], ours: list[Row]) -> str:
    """Return the project's time, or a peer's ratio to it and the target; and the accuracy."""
    _, threads, engine, case, *_ = rows[0]
    seconds = {row.round: row.seconds for row in ours}
    ratios = [row.seconds / seconds[row.round] for row in rows if row.round in seconds]
    targets = dict(zip((1, 2), CASES[case].peers.get(engine) or (), strict=False))
    if engine == OURS or not ratios:
        text = f"{time_of(median(row.seconds for row in rows))}/{CASES[case].unit}"
    else:
        text = f"{median(ratios):.2f}"
        if threads in targets:
            met = median(ratios) >= targets[threads]
            text += f" (>= {targets[threads]}{'' if met else ': no'})"
    reached = [row.accuracy for row in rows if row.accuracy is not None]
    return f"{text}, {median(reached):.4f}" if reached else text


def memory(rows: list[Row], ours: list[Row]) -> str:
    """Return the most memory that a process had."""
    return f"{max(row.peak_mb or 0 for row in rows):.0f} MB"


def time_of(seconds: float) -> str:
    """Return three digits and the unit that suits."""
    for unit, size, least in (("s", 1.0, 0.1), ("ms", 1e-3, 1e-3)):
        if seconds >= least:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


if __name__ == "__main__":
    main()
