"""Every dataset by name, and the commands on those that are kept in files."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from .cache import Archive, archive_path, cache_folder, load_cached
from .curve import curve
from .dataset import DataError, Dataset
from .digits import digits
from .download import Progress
from .fashion_mnist import FASHION_MNIST
from .file import file
from .gates import GATES, gate
from .inline import inline
from .mnist import MNIST, mnist
from .mnist5k import MNIST5K, images_file, library_order, mnist5k, read_images
from .normal import normal
from .official import Collection, Official, find_official, official
from .source import read_bytes, sha256

DATASETS: MappingProxyType[str, Callable[..., Dataset]] = MappingProxyType(
    {
        "mnist5k": mnist5k,
        "mnist": mnist,
        "fashion_mnist": partial(official, FASHION_MNIST),
        "digits": digits,
        **{name: partial(gate, name) for name in GATES},
        "curve": curve,
        "normal": normal,
        "inline": inline,
        "file": file,
    }
)
COLLECTIONS = {collection.name: collection for collection in (MNIST, FASHION_MNIST)}
IN_FILES = (*COLLECTIONS, "mnist5k")


class FileCheck(NamedTuple):
    """What became of one file: its name, bytes, SHA-256 (hex; empty if missing) and verdict."""

    file: str
    bytes: int
    sha256: str
    ok: bool


def fetch(
    name: str, progress: Progress = False, mirrors: Sequence[str] | None = None
) -> list[FileCheck]:
    """Bring a dataset into the user's cache and return what `verify` says about it.

    Raises
    ------
    DataError
        If there is no such dataset, or it cannot be had.
    """
    _check_name(name)
    if name in COLLECTIONS:
        COLLECTIONS[name].load(progress=progress, mirrors=mirrors)
    else:
        mnist5k()
    return verify(name)


def verify(name: str, data_dir: Path | str | None = None) -> list[FileCheck]:
    """Return a row for each file of a dataset, in `data_dir` or in the user's cache.

    In the cache, files that an intact archive makes superfluous may be absent.

    Raises
    ------
    DataError
        If there is no such dataset or folder.
    """
    _check_name(name)
    collection = COLLECTIONS.get(name)
    if data_dir is None:
        return _verify_mnist5k() if collection is None else _verify_cached(collection)
    if collection is None:
        raise DataError(f"data_dir: expected none with {name}, got {data_dir}")
    folder = Path(data_dir)
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder, got none")
    return [_check_official(folder, collection, file) for file in collection.files]


def _check_name(name: str) -> None:
    if name not in IN_FILES:
        raise DataError(f"data: expected one of {', '.join(IN_FILES)}, got {name!r}")


def _verify_cached(collection: Collection) -> list[FileCheck]:
    archive, folder = _check_archive(collection), cache_folder() / collection.name
    packed = [_check_official(folder, collection, file) for file in collection.files]
    intact = any(row.ok for row in archive)
    return archive + [row for row in packed if row.sha256 or not intact]


def _verify_mnist5k() -> list[FileCheck]:
    path = images_file()
    contents = read_bytes(path)
    try:
        read_images(path, library_order())
        ok = True
    except DataError:
        ok = False
    row = FileCheck(path.name, len(contents), sha256(contents), ok)
    return [row, *_check_archive(MNIST5K)]


def _check_archive(archive: Archive) -> list[FileCheck]:
    path = archive_path(archive)
    if not path.is_file():
        return []
    contents = read_bytes(path)
    ok = load_cached(archive) is not None
    return [FileCheck(path.name, len(contents), sha256(contents), ok)]


def _check_official(folder: Path, collection: Collection, file: Official) -> FileCheck:
    try:
        path = find_official(folder, file)
    except DataError:
        return FileCheck(file.name, 0, "", False)
    contents = read_bytes(path)
    try:
        collection.read(contents, path, file)
        ok = True
    except DataError:
        ok = False
    return FileCheck(path.name, len(contents), sha256(contents), ok)
