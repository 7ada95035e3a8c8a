"""The IDX format of the MNIST files: two zeros, a type, a number of dimensions, their sizes, data.

The description is on the MNIST database's page (LeCun, Cortes, Burges); all sizes are big-endian.
"""

import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .dataset import DataError
from .source import LIMIT, read_bytes

UNSIGNED_BYTE = 0x08
TYPES = {
    UNSIGNED_BYTE: "unsigned byte",
    0x09: "signed byte",
    0x0B: "short",
    0x0C: "int",
    0x0D: "float",
    0x0E: "double",
}
DIMENSIONS = 32  # the most that NumPy 1 knew; the format itself allows 255
HEADER = 4 + 4 * DIMENSIONS  # bytes of the longest header
GZIP = b"\x1f\x8b"


def read_header(payload: bytes, where: object) -> tuple[int, tuple[int, ...]]:
    """Return the number of an IDX header's bytes and the shape it declares.

    Raises
    ------
    DataError
        If it is not a header, or declares another type than unsigned bytes or more than `LIMIT`.
    """
    if len(payload) < 4 or payload[:2] != b"\0\0":
        expected = "an IDX header that starts with 00 00"
        raise DataError(f"{where}: expected {expected}, got {payload[:4].hex(' ') or 'no bytes'}")
    kind, dimensions = payload[2], payload[3]
    if kind != UNSIGNED_BYTE:
        got = TYPES.get(kind, "unknown")
        raise DataError(f"{where}: IDX type: expected 0x08 unsigned byte, got 0x{kind:02x} {got}")
    if not 1 <= dimensions <= DIMENSIONS:
        raise DataError(f"{where}: IDX dimensions: expected 1..{DIMENSIONS}, got {dimensions}")
    start = 4 + 4 * dimensions
    if len(payload) < start:
        raise DataError(f"{where}: IDX header: expected {start} bytes, got {len(payload)}")
    shape = struct.unpack(f">{dimensions}I", payload[4:start])
    if not 1 <= math.prod(shape) <= LIMIT:
        expected = f"between 1 and {LIMIT:,} values"
        raise DataError(f"{where}: IDX shape: expected {expected}, got {_by(shape)}")
    return start, shape


def header(shape: tuple[int, ...]) -> bytes:
    """Return the header of unsigned bytes of a shape."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, UNSIGNED_BYTE, len(shape), *shape)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def read_idx(payload: bytes, where: object) -> NDArray[np.uint8]:
    """Return the read-only array of an unpacked IDX file.

    Parameters
    ----------
    payload : bytes
    where : object
        What the messages call it; a path, mostly.

    Raises
    ------
    DataError
        If it is not IDX of unsigned bytes, or has another length than its header declares.
    """
    start, shape = read_header(payload, where)
    expected = start + math.prod(shape)
    if len(payload) != expected:
        raise DataError(
            f"{where}: expected {expected:,} bytes for {_by(shape)}, got {len(payload):,}"
        )
    return np.frombuffer(payload, np.uint8, offset=start).reshape(shape)


def inflate(packed: bytes, where: object) -> bytes:
    """Return the IDX payload of gzip bytes, inflating no more than its own header declares.

    Raises
    ------
    DataError
        If the stream is damaged, cut, followed by anything (a second member included), does not
        hold IDX, or holds another number of bytes than declared.
    """
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # checks CRC and length at the end
    try:
        head = stream.decompress(packed, HEADER)
        if len(head) < HEADER and not stream.eof:
            raise DataError(f"{where}: expected a whole gzip stream, got a cut one")
        start, shape = read_header(head, where)
        declared = start + math.prod(shape)
        # One byte more, so that a longer payload shows itself and a fitting one ends the stream.
        rest = stream.decompress(stream.unconsumed_tail, max(1, declared + 1 - len(head)))
    except zlib.error as reason:
        raise DataError(f"{where}: expected an intact gzip stream, got {reason}") from None
    payload = head + rest
    if len(payload) > declared:
        raise DataError(f"{where}: expected {declared:,} bytes for {_by(shape)}, got more")
    if not stream.eof:
        raise DataError(f"{where}: expected a whole gzip stream, got a cut one")
    if stream.unused_data:
        trailing = f"{len(stream.unused_data):,} bytes after it"
        raise DataError(f"{where}: expected one gzip stream, got {trailing}")
    return payload


def open_payload(contents: bytes, where: object) -> bytes:
    """Return the payload of a file's bytes, which are plain or gzip."""
    return inflate(contents, where) if contents.startswith(GZIP) else contents


def open_idx(path: Path) -> bytes:
    """Return the payload of an IDX file, plain or gzip by its contents.

    Raises
    ------
    DataError
        If the file is missing, too large, or a malformed gzip.
    """
    return open_payload(read_bytes(path), path)
