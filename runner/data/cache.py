"""The user's cache folder, and datasets in it as flat arrays that every load verifies."""

import contextlib
import math
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Archive:
    """A dataset of images whose contents are fixed, and so their digests.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Shape of the images (N, height, width); there are N labels.
    xxh3 : str
        XXH3-128 (hex) of the images' bytes followed by the labels'.
    sha256 : str
        `contents_digest` of images and labels.
    """

    name: str
    shape: tuple[int, int, int]
    xxh3: str
    sha256: str

    def intact(self, flat: Bytes) -> bool:
        """Say whether a flat array has the contents, by a checksum that is faster than memory."""
        import xxhash

        return xxhash.xxh3_128_hexdigest(flat.data) == self.xxh3


def cache_folder() -> Path:
    """Return the user's cache folder, which is `pooch.os_cache("runner")`."""
    # Not by pooch itself: importing it takes longer than a warm load.
    import platformdirs

    return Path(platformdirs.user_cache_dir("runner"))


def archive_path(archive: Archive) -> Path:
    """Return where the cache keeps a dataset's arrays."""
    return cache_folder() / f"{archive.name}.npy"


def unpack(archive: Archive, flat: Bytes) -> tuple[Bytes, Bytes]:
    """Return images (N, height, width) and labels (N,) as views of a flat array."""
    pixels = math.prod(archive.shape)
    return flat[:pixels].reshape(archive.shape), flat[pixels:]


def _npy_header(archive: Archive) -> bytes:
    size = math.prod(archive.shape) + archive.shape[0]
    header = BytesIO()
    described: dict[str, Any] = {"descr": "|u1", "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(header, described)
    return header.getvalue()


def load_cached(archive: Archive) -> Bytes | None:
    """Return a dataset's flat array as a read-only memory map, or None if there is no intact one.

    The contents are verified on every load.
    """
    path, header = archive_path(archive), _npy_header(archive)
    size = math.prod(archive.shape) + archive.shape[0]
    # The one good header is known byte by byte: nothing in the file is ever interpreted.
    try:
        if not path.is_file():  # to open what is a pipe would wait
            return None
        mapped = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError):
        return None
    if mapped.size != len(header) + size or mapped[: len(header)].tobytes() != header:
        return None
    flat = mapped[len(header) :]
    return flat if archive.intact(flat) else None


def store(archive: Archive, flat: Bytes) -> None:
    """Keep a dataset's flat array for the next load; a folder that cannot be written is left."""
    path = archive_path(archive)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f"{path.name}.", suffix=".tmp", delete=False
        ) as aside:
            try:
                aside.write(_npy_header(archive))
                aside.write(flat.data)
                aside.close()
                Path(aside.name).replace(path)
                # Of others at the same work, which lose nothing, or of killed ones.
                _remove(path.parent.glob(f"{path.name}.*.tmp"))
            except BaseException:
                aside.close()
                Path(aside.name).unlink(missing_ok=True)
                raise


@contextlib.contextmanager
def workspace(name: str) -> Iterator[Path]:
    """Yield a folder for a dataset's files that no other process uses meanwhile.

    It is below the cache folder, or a temporary one where that cannot be written or locked.
    """
    folder = cache_folder() / name
    with contextlib.ExitStack() as until_left:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _wait_for(until_left.enter_context((folder / ".lock").open("ab")))
        except OSError:
            temporary = tempfile.TemporaryDirectory(prefix="runner-")
            yield Path(until_left.enter_context(temporary))
        else:
            _remove(folder.glob("tmp*"))  # pooch's, of a process that was killed
            yield folder


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _wait_for(lock: IO[bytes]) -> None:
    # The system's locks end with the process, however it ends; a lock file's mere existence
    # would outlive a crash.
    if sys.platform == "win32":
        import msvcrt

        held = False
        while not held:
            with contextlib.suppress(OSError):  # it gives up after ten seconds
                msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK, 1)
                held = True
    else:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
