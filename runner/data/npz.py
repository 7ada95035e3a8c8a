"""NumPy's .npy and .npz files, read without trusting what they declare."""

import math
import zipfile
import zlib
from io import BytesIO

import numpy as np
from numpy.lib import format as npy

from .dataset import Array, DataError
from .source import LIMIT

NPY = npy.MAGIC_PREFIX
NPZ = b"PK\x03\x04"
SUFFIX = ".npy"
READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npy(contents: bytes, where: object) -> Array:
    """Return the read-only array of a .npy file's bytes.

    Raises
    ------
    DataError
        If it is not one, holds Python objects, or has another length than its header declares.
    """
    stream = BytesIO(contents)
    try:
        shape, fortran, dtype = READERS[npy.read_magic(stream)](stream)
        size = math.prod(shape)
    except Exception as reason:  # on hostile text NumPy's header parser raises nearly anything
        raise DataError(f"{where}: expected an intact .npy header, got {reason!r:.80}") from None
    if dtype.kind not in "buif" or min(shape, default=0) < 0:
        raise DataError(f"{where}: expected an array of real numbers, got {dtype} of {shape}")
    expected, got = size * dtype.itemsize, len(contents) - stream.tell()
    if got != expected:
        raise DataError(f"{where}: expected {expected:,} bytes for {dtype} {shape}, got {got:,}")
    flat = np.frombuffer(contents, dtype, offset=stream.tell()) if size else np.empty(0, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def read_npz(contents: bytes, where: object) -> dict[str, Array]:
    """Return the arrays of an .npz file's bytes by name.

    Raises
    ------
    DataError
        If it is not one, if its members are encrypted, damaged, twice there or no arrays, or if
        they would inflate to more than `LIMIT`.
    """
    try:
        with zipfile.ZipFile(BytesIO(contents)) as archive:
            members = archive.infolist()
            _check_members(members, where)
            return {
                member.filename.removesuffix(SUFFIX): read_npy(
                    _read_member(archive, member), f"{where}: {member.filename}"
                )
                for member in members
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as reason:
        raise DataError(f"{where}: expected an intact .npz, got {reason}") from None


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    # Without a size it would inflate all there is, and cut that to the declared size afterwards.
    with archive.open(member) as stream:
        return stream.read(member.file_size)


def _check_members(members: list[zipfile.ZipInfo], where: object) -> None:
    for member in members:
        if not member.filename.endswith(SUFFIX):
            raise DataError(f"{where}: expected .npy members, got {member.filename!r}")
        packed = member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if packed or member.flag_bits & 1:
            raise DataError(f"{where}: {member.filename}: expected it plain or deflated")
    if len({member.filename for member in members}) != len(members):
        raise DataError(f"{where}: expected every member once, got some twice")
    total = sum(member.file_size for member in members)
    if total > LIMIT:
        raise DataError(f"{where}: expected at most {LIMIT:,} bytes unpacked, got {total:,}")
