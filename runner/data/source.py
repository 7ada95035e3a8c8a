"""The bytes of a file, never more than a limit."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .dataset import DataError

LIMIT = 2**30  # bytes; MNIST is 55 MB, all of it in float64 0.44 GB


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    Raises
    ------
    DataError
        If there is no such file, it is not a plain one, cannot be read, or exceeds `LIMIT`.
    """
    if not path.is_file():
        got = "a folder" if path.is_dir() else "something else" if path.exists() else "none"
        raise DataError(f"{path}: expected a file, got {got}")
    try:
        # The room for all that is asked for is taken first.
        with path.open("rb") as stream:
            contents = stream.read(min(path.stat().st_size, LIMIT) + 1)
    except OSError as reason:
        raise DataError(f"{path}: expected a readable file, got {reason.strerror}") from None
    if len(contents) > LIMIT:
        raise DataError(f"{path}: expected at most {LIMIT:,} bytes, got more")
    return contents


@contextmanager
def enough_memory(where: object) -> Iterator[None]:
    """Say it in one line where contents within the limit are still too many for the machine.

    Raises
    ------
    DataError
        Instead of MemoryError.
    """
    try:
        yield
    except MemoryError:
        raise DataError(f"{where}: expected data that fit into the memory, got more") from None


def sha256(*contents: bytes | memoryview) -> str:
    """Return the SHA-256 (hex) of bytes, of several one after the other."""
    digest = hashlib.sha256()
    for part in contents:
        digest.update(part)
    return digest.hexdigest()
