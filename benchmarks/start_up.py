"""How long a user waits: the help, the main job with warm caches, loading MNIST.

python benchmarks/start_up.py [--data-dir DIR]    (DIR: the four official MNIST files)
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from runner.environment import cpu_model

REPEATS = 11


def median(job: Callable[[], object]) -> float:
    """Return the median seconds of a job after one warm-up."""
    seconds = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def program(folder: str, *words: str) -> Callable[[], object]:
    """Return a job that runs the program in a folder."""
    command = [sys.executable, "-m", "runner", *words]
    return lambda: subprocess.run(command, cwd=folder, capture_output=True, check=True)


def main() -> None:
    """Print one line per measurement."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    data_dir = parser.parse_args().data_dir

    from runner.data import DATASETS

    print(f"{cpu_model()}, Python {sys.version.split()[0]}, median of {REPEATS}")
    with tempfile.TemporaryDirectory() as folder:
        print(f"python -m runner -h      {median(program(folder, '-h')):.3f} s")
        print(f"python -m runner         {median(program(folder)):.3f} s")
    print(f"load mnist5k, verified   {median(DATASETS['mnist5k']):.4f} s")
    if data_dir:
        DATASETS["mnist"](data_dir=data_dir)
        # The same archive as without data_dir, once it is in the cache.
        print(f"load mnist, verified     {median(DATASETS['mnist']):.4f} s")


if __name__ == "__main__":
    main()
