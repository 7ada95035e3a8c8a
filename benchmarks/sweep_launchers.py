"""How much faster a sweep of trainings is side by side.

python benchmarks/sweep_launchers.py --data-dir DIR [--jobs 40] [--epochs 2] [--rounds 1]
    [--launchers runner cores joblib]

The sweep is `task=training dataset=mnist seed=range(0, jobs)`, each job on one thread; the
launchers alternate. DIR has the four official MNIST files. `joblib` needs the extra `sweep`.

seconds: of the whole command. rate: jobs per second, relative to the first launcher's.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from runner.environment import cpu_model


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--launchers", nargs="+", default=["runner", "cores"])
    arguments = parser.parse_args()
    words = ["task=training", "dataset=mnist", f"data_dir={arguments.data_dir.resolve()}"]
    words += [f"epochs={arguments.epochs}", f"seed=range(0,{arguments.jobs})"]
    seconds: dict[str, list[float]] = {launcher: [] for launcher in arguments.launchers}
    tables: dict[str, str] = {}
    for _ in range(arguments.rounds):
        for launcher, times in seconds.items():
            took, tables[launcher] = sweep([*words, f"hydra/launcher={launcher}"])
            times.append(took)
    if len(set(tables.values())) != 1:
        raise SystemExit("the launchers' tables differ")
    print(f"{cpu_model()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{arguments.jobs} trainings of {arguments.epochs} epochs\n")
    print(f"{'':>12}{'seconds':>12}{'rate':>12}")
    first = median(seconds[arguments.launchers[0]])
    for launcher, times in seconds.items():
        print(f"{launcher:>12}{median(times):12.1f}{first / median(times):12.2f}")


def sweep(words: list[str]) -> tuple[float, str]:
    """Run a sweep; return its seconds and the accuracies of its jobs, which must not differ."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "runner", "-m", *words, "sweep.name=s"]
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        took = time.perf_counter() - started
        table = pd.read_csv(Path(folder, "outputs/sweeps/s/results.csv"), dtype=str)
    return took, table[["run_id", "status", "threads", "correct", "test_loss"]].to_csv()


if __name__ == "__main__":
    main()
