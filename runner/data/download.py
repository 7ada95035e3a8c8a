"""Files from mirrors over HTTP, with checksums, time limits and progress."""

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

from .dataset import DataError

TIMEOUT = 10.0  # seconds to connect, and between any two pieces of the answer
DEADLINE = 300.0  # seconds for one file from one mirror, whatever it does meanwhile
CHUNK = 1 << 16  # bytes


class Bar(Protocol):
    """A progress bar as pooch describes it, of which only this is used."""

    total: int

    def update(self, n: int, /) -> object:
        """Move on by n bytes."""

    def close(self) -> object:
        """Stop showing it."""


Progress: TypeAlias = bool | Callable[[str], Bar]


class _Silent:
    """No progress bar at all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0

    def update(self, n: int) -> None:
        pass

    def close(self) -> None:
        pass


class _Percent(_Silent):
    """The plainest progress bar: a line on stderr."""

    done = 0

    def update(self, n: int) -> None:
        self.done += n
        sys.stderr.write(f"\r{self.name}: {100 * self.done // max(self.total, 1)} %")

    def close(self) -> None:
        sys.stderr.write("\n")


def download(
    name: str,
    folder: Path,
    *,
    size: int,
    sha256: str,
    mirrors: Sequence[str],
    progress: Progress = False,
    timeout: float = TIMEOUT,
    deadline: float = DEADLINE,
) -> Path:
    """Return the path of a file in a folder, fetched unless it is there and intact.

    Parameters
    ----------
    name : str
        Of the file, in the folder and on the mirrors.
    folder : Path
    size : int
        Bytes; reading stops where a mirror sends more.
    sha256 : str
        Of the right contents (hex); nothing else is ever kept under the name.
    mirrors : sequence of str
        Base URLs (http or https) that end in a slash, tried in this order.
    progress : bool or callable
        Whether to show progress on stderr; or what makes a bar for a file's name.
    timeout, deadline : float
        Seconds without an answer, and in all, after which a mirror is given up.

    Raises
    ------
    DataError
        If every mirror failed; it says how each did.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")  # it would announce every file on stderr
    fetch = partial(
        _fetch, size=size, sha256=sha256, progress=progress, timeout=timeout, deadline=deadline
    )
    known = f"sha256:{sha256}"
    failures = []
    for mirror in mirrors:
        try:
            pooch.retrieve(mirror + name, known, fname=name, path=folder, downloader=fetch)
        except Exception as reason:  # whatever befalls one mirror, the next is asked
            failures.append(f"{mirror}: {_in_short(reason)}")
        else:
            return folder / name
    raise DataError(f"{name}: expected it from a mirror, got {'; '.join(failures) or 'no mirror'}")


def _fetch(
    url: str,
    output: str,
    _: object,
    *,
    size: int,
    sha256: str,
    progress: Progress,
    timeout: float,
    deadline: float,
) -> None:
    """Receive the right contents into a file, or raise before the deadline is long past."""
    digest = hashlib.sha256()
    failures: list[Exception] = []

    def receive() -> None:
        try:
            for piece in _pieces(url, timeout):
                if stream.tell() + len(piece) > size:
                    raise DataError(f"more than {size:,} bytes")
                digest.update(piece)
                stream.write(piece)
                bar.update(len(piece))
        except Exception as reason:
            failures.append(reason)

    with Path(output).open("wb") as stream, _bar(url.rpartition("/")[2], size, progress) as bar:
        # A name without an address or a head that drips cannot be interrupted, only left.
        receiver = threading.Thread(target=receive, daemon=True)
        receiver.start()
        receiver.join(deadline)
        if receiver.is_alive():
            raise DataError(f"{stream.tell():,} of {size:,} bytes in {deadline:g} s")
        received = stream.tell()
    if failures:
        raise failures[0]
    if received != size:
        raise DataError(f"{received:,} of {size:,} bytes")
    if digest.hexdigest() != sha256:
        raise DataError(f"other contents (SHA-256 {digest.hexdigest()[:12]}, not {sha256[:12]})")


def _pieces(url: str, timeout: float) -> Iterator[bytes]:
    """Yield what is at an address as it comes."""
    import requests

    def hang_up(answer: requests.Response, **_: object) -> None:
        # Or requests would read the body of a redirect first, however long.
        if answer.is_redirect:
            answer.raw.close()

    # The checksum is that of the packed file: nothing is to be unpacked on the way.
    headers = {"Accept-Encoding": "identity"}
    hooks = {"response": hang_up}
    with requests.get(url, timeout=timeout, stream=True, headers=headers, hooks=hooks) as answer:
        answer.raise_for_status()
        # read1 returns what has come; read would wait for a whole chunk.
        while piece := answer.raw.read1(CHUNK, decode_content=False):
            yield piece


@contextmanager
def _bar(name: str, size: int, progress: Progress) -> Iterator[Bar]:
    made: dict[object, Callable[[str], Bar]] = {False: _Silent, True: _Percent}
    bar = made[progress](name) if isinstance(progress, bool) else progress(name)
    bar.total = size
    try:
        yield bar
    finally:
        bar.close()


def _in_short(reason: Exception) -> str:
    import requests
    import urllib3

    if isinstance(reason, requests.HTTPError) and reason.response is not None:
        return f"HTTP {reason.response.status_code}"
    # The body is read past requests, so that its troubles come as urllib3's.
    phrases: dict[str, tuple[type[Exception], ...]] = {
        "no answer in time": (requests.Timeout, urllib3.exceptions.ReadTimeoutError),
        "cut off": (urllib3.exceptions.ProtocolError,),
        "no connection": (requests.ConnectionError,),
        "neither http nor https": (requests.exceptions.InvalidSchema,),
        "too many redirects": (requests.TooManyRedirects,),
    }
    for phrase, kinds in phrases.items():
        if isinstance(reason, kinds):
            return phrase
    text = " ".join(str(reason).split())
    return text if isinstance(reason, DataError) else f"{type(reason).__name__}: {text:.80}"
