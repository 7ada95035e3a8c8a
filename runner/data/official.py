"""Images of 28 by 28 pixels in four IDX files, as MNIST and those made after it are published."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .cache import Archive, Bytes, load_cached, store, unpack, workspace
from .dataset import DataAbsent, DataError, Dataset, Split, build_dataset
from .download import Progress
from .download import download as fetch
from .idx import header, open_payload, read_idx
from .source import enough_memory, read_bytes, sha256

TRAINING = 60_000  # images; the others are the test set


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


@dataclass(frozen=True)
class Collection(Archive):
    """Four official files, and the archive of their contents in the cache.

    Attributes
    ----------
    title : str
        What messages call it.
    files : tuple of Official
        Images of the training split and of the test split, then the labels of both.
    mirrors : tuple of str
        Where they are; base URLs that end in a slash.
    training : int
        Images of the training split.
    xxh3, sha256 : str
        May be empty. Then the digests of the official files stand in for those of the archive,
        which takes longer to check.
    """

    title: str
    files: tuple[Official, ...]
    mirrors: tuple[str, ...]
    training: int = TRAINING

    @property
    def contents(self) -> str:
        """What stands for the contents: their digest, or that of the official files' digests."""
        digests = "".join(file.payload_sha256 for file in self.files)
        return self.sha256 or sha256(digests.encode())

    def intact(self, flat: Bytes) -> bool:
        """Say whether a flat array has the official contents."""
        if self.xxh3:
            return super().intact(flat)
        parts = [half for array in unpack(self, flat) for half in self._halves(array)]
        return all(
            sha256(header(part.shape), part.data) == file.payload_sha256
            for part, file in zip(parts, self.files, strict=True)
        )

    def _halves(self, array: Bytes) -> tuple[Bytes, Bytes]:
        return array[: self.training], array[self.training :]

    def load(
        self,
        data_dir: Path | str | None = None,
        download: bool = True,
        progress: Progress = False,
        mirrors: Sequence[str] | None = None,
    ) -> tuple[Bytes, Bytes]:
        """Return the images (N, 28, 28) and their labels (N,), read-only.

        Parameters
        ----------
        data_dir : path, optional
            Folder of the four official files, .gz or unpacked, and then nothing else is used.
            Without it they come from the user's cache, or are downloaded into it.
        download : bool
            Whether files that are in neither place may be downloaded.
        progress : bool or callable
            Whether to show a download's progress, or what makes a bar for a file's name.
        mirrors : sequence of str, optional
            Where to download from, in place of the collection's own.

        Raises
        ------
        DataError
            If a file is missing, its contents are not the official ones, or no mirror works.
        DataAbsent
            If a download would be needed but is not allowed.
        """
        if data_dir is not None:
            with enough_memory(data_dir):
                return unpack(self, self._from_folder(Path(data_dir)))
        flat = load_cached(self)
        if flat is None and not download:
            raise DataAbsent(f"{self.name}: expected its files in data_dir or the cache, got none")
        mirrors = self.mirrors if mirrors is None else mirrors
        return unpack(self, self._fetched(progress, mirrors) if flat is None else flat)

    def dataset(self, x: Bytes, t: Bytes, train: Split | None = None) -> Dataset:
        """Return loaded images and labels as a dataset, with another training split where given."""
        train = slice(0, self.training) if train is None else train
        test = slice(self.training, len(t))
        return build_dataset(x, t, train, test, maximum=255.0, contents=self.contents)

    def _fetched(self, progress: Progress, mirrors: Sequence[str]) -> Bytes:
        with workspace(self.name) as folder:
            # Whoever had the folder before may have done the work.
            flat = load_cached(self)
            if flat is None:
                for name, size, packed, _ in self.files:
                    fetch(
                        name, folder, size=size, sha256=packed, mirrors=mirrors, progress=progress
                    )
                flat = self._from_folder(folder)
        return flat

    def _from_folder(self, folder: Path) -> Bytes:
        paths = [find_official(folder, file) for file in self.files]
        contents = [read_bytes(path) for path in paths]
        # Files that are official as they are packed need no unpacking where that has been done.
        digests = [file.sha256 for file in self.files]
        flat = load_cached(self) if list(map(sha256, contents)) == digests else None
        if flat is None:
            parts = map(self.read, contents, paths, self.files)
            flat = np.concatenate([part.ravel() for part in parts])
            flat.flags.writeable = False
            store(self, flat)
        return flat

    def read(self, contents: bytes, path: Path, file: Official) -> Bytes:
        """Return the array in an official file's bytes, .gz or unpacked.

        Raises
        ------
        DataError
            If the contents are not the official ones.
        """
        expected = f"{self.title}'s official contents (SHA-256 {file.payload_sha256[:12]})"
        try:
            payload = open_payload(contents, path)
        except DataError as reason:
            got = f"{sha256(contents)[:12]} packed"
            raise DataError(f"{path}: expected {expected}, got {got}; {reason}") from None
        got = sha256(payload)
        if got != file.payload_sha256:
            raise DataError(f"{path}: expected {expected}, got {got[:12]}")
        return read_idx(payload, path)


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


def official(
    collection: Collection,
    *,
    data_dir: Path | str | None = None,
    download: bool = True,
    progress: Progress = False,
    mirrors: Sequence[str] | None = None,
) -> Dataset:
    """Return a collection's images with their official split.

    Parameters and exceptions are those of `Collection.load`.

    Returns
    -------
    Dataset
        x (N, 28, 28) and t (N,), uint8, read-only.
    """
    return collection.dataset(*collection.load(data_dir, download, progress, mirrors))
