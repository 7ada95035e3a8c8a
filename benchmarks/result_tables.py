"""What it costs to summarize and to compare large tables, as whole processes.

python benchmarks/result_tables.py [--rows 10000] [--rounds 3]

A table is that of a sweep over 1,000 learning rates, each with as many seeds as make the rows;
the second one has other accuracies and losses. Seconds are those of the clock from the start of
the process to its end, the fastest of the rounds; memory is the largest that the process was.
The promise: 10,000 rows in at most 2 s and 300 MB.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from runner.tables import store
from runner.tables.columns import RESULTS, SCHEMA_VERSION

CONFIGURATIONS = 1000
COMMANDS = {
    "summarize": ["summarize", "a.csv"],
    "compare": ["compare", "a.csv", "b.csv"],
    "compare, 4 metrics": [
        *("compare", "a.csv", "b.csv", "--format", "csv"),
        *("--metric", "accuracy,test_loss,train_accuracy,fit_seconds"),
        *("--fail-if", "accuracy < baseline - 0.1"),
    ],
}


def main() -> None:
    """Write two tables, and measure each command on them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for seed, name in enumerate("ab"):
            write(Path(folder, f"{name}.csv"), options.rows, np.random.default_rng(seed))
        print(f"{'':20} seconds     MB   exit")
        for name, words in COMMANDS.items():
            measured = [measure(words, folder) for _ in range(options.rounds)]
            seconds, memory, status = min(measured)
            print(f"{name:20} {seconds:7.2f} {memory:6.0f} {status:6}")


def write(path: Path, rows: int, rng: np.random.Generator) -> None:
    """Write a table of results, as wide as a real one."""
    same = {column.name: "" for column in RESULTS} | {
        **{"schema_version": SCHEMA_VERSION, "status": "completed", "task": "training"},
        **{"dataset": "digits", "network": "64-50-100-10", "activation": "relu"},
        **{"output": "softmax", "loss": "cross_entropy", "optimizer": "sgd", "batch_size": 100},
        **{"n": 360, "epochs": 3, "parameters": 9360, "threads": 1, "code_version": "0" * 12},
        **{"config_hash": "1" * 12, "data_hash": "2" * 12, "duration_seconds": 0.1},
        "started_at": "2026-01-01T00:00:00.000000+00:00",
    }
    made = []
    for index in range(rows):
        accuracy = 0.9 + 0.01 * rng.standard_normal()
        made.append(
            same
            | {"run_id": f"{index:012x}", "seed": index // CONFIGURATIONS}
            | {"accuracy": accuracy, "accuracy_low": accuracy - 0.03}
            | {"accuracy_high": accuracy + 0.03, "train_accuracy": accuracy + 0.05}
            | {"test_loss": rng.lognormal(-1, 0.1), "fit_seconds": rng.lognormal(-2, 0.1)}
            | {"optimizer.params.lr": (1 + index % CONFIGURATIONS) / CONFIGURATIONS}
        )
    store.write_rows(path, list(made[0]), made)


def measure(words: list[str], folder: str) -> tuple[float, float, int]:
    """Return the seconds, the megabytes and the exit status of a process of its own."""
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(sys.executable, [sys.executable, "-m", "runner", *words])
    _, status, used = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    return seconds, used.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    main()
