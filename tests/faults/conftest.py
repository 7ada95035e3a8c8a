"""What the tests of faults have in common: a place to run in, and what must be true after."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from runner.tables.results import read_results

HERE = Path(__file__).parent
TIMES = {
    *("fit_seconds", "inference_seconds", "images_per_second", "started_at", "duration_seconds"),
    *("seconds", "items_per_second"),
}
SPREAD = ("mean", "std", "median", "low", "high")
TIMES |= {f"{name}_{kind}" for name in ("fit_seconds", "inference_seconds") for kind in SPREAD}


def pytest_collection_modifyitems(items):
    if os.name == "nt":  # no fork, no SIGKILL
        for item in items:
            if item.path.parent == HERE:
                item.add_marker(pytest.mark.skip(reason="a system of POSIX is needed"))


@dataclass
class Ended:
    """How a process ended, what it printed, and the steps it took."""

    status: int
    out: str
    err: str
    steps: list[str]


class Nursery:
    """Starts the program in no time, as often as is wanted."""

    def __init__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, HERE / "nursery.py"], **pipes)

    def start(self, folder, words, **order):
        """Start a process in a folder, and return its id."""
        (folder / "steps").unlink(missing_ok=True)
        print(json.dumps({"folder": str(folder), "words": words, **order}), file=self.process.stdin)
        self.process.stdin.flush()
        self.folder = folder
        return int(self.process.stdout.readline())

    def end(self):
        """Wait until it is over."""
        status, out, err = json.loads(self.process.stdout.readline())
        path = self.folder / "steps"
        return Ended(status, out, err, path.read_text().splitlines() if path.exists() else [])

    def run(self, folder, words, **order):
        """Start a process and wait until it is over."""
        self.start(folder, words, **order)
        return self.end()


@pytest.fixture(scope="session")
def nursery():
    made = Nursery()
    yield made
    made.process.stdin.close()
    assert made.process.wait(60) == 0
    made.process.stdout.close()


def rows(path):
    """Return the rows of a table without times; every one must have all its cells."""
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n"), path
    head, *found = csv.reader(text.splitlines(keepends=True))
    assert all(len(row) == len(head) for row in found), path
    kept = [place for place, name in enumerate(head) if name not in TIMES]
    return [[row[place] for place in kept] for row in [head, *found]]


def arrays(path):
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name].tolist() for name in found.files}


def record(path):
    return sorted(json.loads(path.read_bytes())["files"])


READERS = {
    ".csv": rows,
    ".npz": arrays,
    ".safetensors": lambda path: {name: a.tolist() for name, a in load_file(path).items()},
    ".json": lambda path: json.loads(path.read_bytes()),
}


def contents(folder):
    """Return what the files below a folder say, but for times; each must be whole."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or path.name.startswith(".") or path.suffix == ".log":
            continue
        if path.suffix == ".yaml":
            assert yaml.safe_load(path.read_text(encoding="utf-8")) is not None, path
        elif path.name == "command.json":
            assert "sweep.name=s" in json.loads(path.read_bytes())  # a launcher makes no difference
        elif path.name == "run.json":
            found[name] = record(path)
        else:
            found[name] = READERS[path.suffix](path)
    return found


@pytest.fixture(scope="session")
def read():
    """The function that reads all files below a folder."""
    return contents


@pytest.fixture
def holds():
    """The function that says whether what a disturbed process has left is in order."""
    return check


def check(folder, whole):
    """Assert that each file is what it is when nothing goes wrong, or tells of a failure.

    The rows of a sweep's results may be fewer, and those of jobs that did not complete say so.
    """
    left = contents(folder)
    for name, content in left.items():
        if name in ("results.csv", "summary.csv"):
            continue
        status = left.get(f"{Path(name).parent}/results.csv")
        completed = status is None or status[1][status[0].index("status")] == "completed"
        assert content == whole[name] or not completed, name
    if "results.csv" in left:
        if len(left["results.csv"]) > 1 and (folder / "plan.csv").exists():
            read_results(str(folder))  # as `runner compare` reads it
        head, *found = left["results.csv"]
        assert head == whole["results.csv"][0]
        known = {row[head.index("run_id")]: row for row in whole["results.csv"][1:]}
        ids = [row[head.index("run_id")] for row in found]
        assert len(set(ids)) == len(ids)
        assert ids == [run_id for run_id in known if run_id in ids]  # in the order of the plan
        for run_id, row in zip(ids, found, strict=True):
            if row[head.index("status")] == "completed":
                assert row == known[run_id]
            else:
                assert row[head.index("error")]
                assert not row[head.index("accuracy")]
