import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

# Reads every file of a folder in a process of its own, watched and with little memory, and
# says what each gave and whatever happened besides reading the files.
WATCH = """
import json, pathlib, sys
import numpy
from runner import weights
for warm in pathlib.Path(sys.argv[1], "warm").iterdir():
    weights.read(warm)
files = sorted(pathlib.Path(sys.argv[1], "files").iterdir())
if sys.platform == "linux":
    import resource
    # No more than it has by now, and what some megabytes of files may unfold to.
    room = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 2**26
    assert room < 2**30
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
events, names, watching = [], {str(file) for file in files}, True
def watch(event, arguments):
    if watching and not (event == "open" and arguments[0] in names and arguments[1] == "r"):
        events.append([event, repr(arguments)[:200]])
sys.addaudithook(watch)
outcomes = {}
for file in files:
    try:
        weights.read(file)
        outcomes[file.name] = "read"
    except weights.WeightsError as error:
        outcomes[file.name] = str(error).removeprefix(f"{file}: ")
watching = False
json.dump({"events": events, "outcomes": outcomes}, sys.stdout)
"""


@pytest.fixture
def arrays():
    rng = np.random.default_rng(1)
    return {
        "W1": rng.normal(size=(4, 3)).astype(np.float32),
        "b1": rng.normal(size=3).astype(np.float32),
        "W2": rng.normal(size=(3, 2)),
        "b2": rng.normal(size=2),
    }


@pytest.fixture
def watched_read(tmp_path, arrays):
    """Read files of the given bytes where nothing but reading is allowed."""

    def watched(contents):
        from safetensors.numpy import save_file

        (tmp_path / "warm").mkdir()
        (tmp_path / "files").mkdir()
        (tmp_path / "warm" / "a").write_bytes(pickle.dumps(arrays))
        np.savez_compressed(tmp_path / "warm" / "b.npz", **arrays)
        save_file(arrays, tmp_path / "warm" / "c")
        for name, content in contents.items():
            (tmp_path / "files" / name).write_bytes(content)
        run = subprocess.run(
            [sys.executable, "-c", WATCH, str(tmp_path)],
            cwd=tmp_path,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        report = json.loads(run.stdout)
        left = {path.name for path in tmp_path.iterdir()} - {"warm", "files"}
        return report["outcomes"], report["events"], left

    return watched
