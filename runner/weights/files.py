"""Weight files of any of the three formats, told apart by their first bytes."""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from runner.weights.layouts import Arrays, ours
from runner.weights.npz import read_npz
from runner.weights.parameters import LIMIT, Weights, WeightsError, from_arrays, shown
from runner.weights.pickles import read_pickle
from runner.weights.tensors import dumps, read_safetensors

EXPECTED = "expected a weight file (safetensors, npz, or the book's pickle)"

# PROTO, EMPTY_DICT, the MARK of a DICT, or a GLOBAL with its module's name.
PICKLE = re.compile(rb"\x80|\}|\(|c[A-Za-z0-9_.]+\n")


def read(path: str | os.PathLike[str]) -> Weights:
    """
    Read the weights of a network from a file, whoever made it.

    The format is found by content: safetensors, npz, or a pickled dict of arrays like the
    book's `sample_weight.pkl`. No code in the file can run.

    Raises
    ------
    WeightsError
        If there is no such file, or it does not hold the weights of a network.
    """
    where = os.fspath(path)
    try:
        return _parse(_content(where), where)
    except MemoryError as cause:
        raise WeightsError(f"{where}: {EXPECTED}, got one too large for the memory") from cause


def write(
    path: str | os.PathLike[str], weights: Weights, metadata: Mapping[str, str] | None = None
) -> None:
    """Write weights as safetensors; the same weights and metadata give the same bytes."""
    Path(path).write_bytes(dumps(weights, metadata))


def _parse(data: bytes, where: str) -> Weights:
    """Choose the reader by the first bytes."""
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _weights(read_npz(data, where), where)
    if data[8:9] == b"{":
        return _weights(read_safetensors(data, where), where)
    if PICKLE.match(data):
        return _weights(read_pickle(data, where), where)
    if data.startswith(b"\x93NUMPY"):
        raise _refusal(where, "a single npy array; save W1, b1, W2, ... by numpy.savez")
    raise _refusal(where, f"one that begins with {shown(data[:16])}" if data else "an empty one")


def _weights(arrays: Arrays, where: str) -> Weights:
    """Check arrays, whose names and layout may be those of another program."""
    renamed, note = ours(arrays, where)
    return replace(from_arrays(renamed, where), note=note)


def _content(where: str) -> bytes:
    """Read a regular file of a bearable size."""
    path = Path(where)
    try:
        status = path.stat()
        problem = _problem(status)
        if not problem:
            with path.open("rb") as stream:
                return stream.read(status.st_size)
    except FileNotFoundError:
        problem = "no such file"
    except OSError as cause:
        problem = (cause.strerror or "an unreadable file").lower()
    except ValueError:
        problem = "a path that no file can have"
    raise _refusal(where, problem)


def _problem(status: os.stat_result) -> str:
    """Say what keeps a path from being read, if anything does."""
    if stat.S_ISDIR(status.st_mode):
        return "a folder"
    if not stat.S_ISREG(status.st_mode):
        return "something that is no file"
    if status.st_size > LIMIT:
        return f"a file of {status.st_size} bytes, more than {LIMIT}"
    return ""


def _refusal(where: str, what: str) -> WeightsError:
    return WeightsError(f"{where}: {EXPECTED}, got {what}")
