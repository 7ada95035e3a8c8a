"""NumPy's .npy and .npz files, read without trusting what they declare."""

import math
import re
import struct
import zipfile
import zlib
from io import BytesIO

import numpy as np

from .dataset import Array, DataError
from .source import LIMIT

NPY = b"\x93NUMPY"
NPZ = b"PK\x03\x04"

MOST_MEMBERS = 1000
MEMBER = re.compile(r"([A-Za-z0-9_]{1,100})\.npy")

# What NumPy writes, matched as text: its own reader has it parsed as Python.
SIDE = "(?:0|[1-9][0-9]{0,9})"
HEADER = re.compile(
    r"\{ ?'descr': ?'(?P<dtype>[^']{1,20})', ?"
    r"'fortran_order': ?(?P<fortran>True|False), ?"
    rf"'shape': ?\((?P<shape>(?:{SIDE},(?: ?{SIDE},){{0,30}}(?: ?{SIDE})?)?)\),? ?\}} *\n?"
)
LENGTHS = {b"\1\0": 2, b"\2\0": 4, b"\3\0": 4}  # bytes of the header's length, by version
LONGEST_HEADER = 10_000
DTYPE = re.compile("[|<>][biu]1|[<>][iuf][248]")

# What the standard library's readers raise, besides BadZipFile, when bytes make no sense.
DAMAGE = (EOFError, OSError, OverflowError, RuntimeError, ValueError, struct.error, zlib.error)


def read_npy(contents: bytes, where: object) -> Array:
    """Return the read-only array of a .npy file's bytes.

    Raises
    ------
    DataError
        If it is not one, holds Python objects, or has another length than its header declares.
    """
    start = 8 + LENGTHS.get(contents[6:8], 0)
    length = int.from_bytes(contents[8:start], "little")
    known = contents.startswith(NPY) and start > 8
    if not known or length > min(LONGEST_HEADER, len(contents) - start):
        raise DataError(f"{where}: expected an intact .npy header, got {contents[:start]!r}")
    text = str(contents[start : start + length], "latin1")
    header = HEADER.fullmatch(text)
    if header is None:
        raise DataError(f"{where}: expected an intact .npy header, got {text!r:.80}")
    shape = tuple(int(side) for side in re.findall("[0-9]+", header["shape"]))
    if not DTYPE.fullmatch(header["dtype"]):
        described = f"{header['dtype']!r} of {shape}"
        raise DataError(f"{where}: expected an array of real numbers, got {described}")
    if math.prod(side or 1 for side in shape) > LIMIT:
        raise DataError(f"{where}: expected at most {LIMIT:,} values, got {shape}")
    dtype = np.dtype(header["dtype"])
    expected, got = math.prod(shape) * dtype.itemsize, len(contents) - start - length
    if got != expected:
        raise DataError(f"{where}: expected {expected:,} bytes for {dtype} {shape}, got {got:,}")
    flat = np.frombuffer(contents, dtype, offset=start + length) if got else np.empty(0, dtype)
    return flat.reshape(shape, order="F" if header["fortran"] == "True" else "C")


def read_npz(contents: bytes, where: object) -> dict[str, Array]:
    """Return the arrays of an .npz file's bytes by name.

    Raises
    ------
    DataError
        If it is not one, if its members are encrypted, damaged, twice there or no arrays, or if
        they would inflate to more than `LIMIT`.
    """
    # Counted first: the archive's own reader would build every entry of a false directory.
    if contents.count(b"PK\x01\x02") > MOST_MEMBERS:
        raise DataError(f"{where}: expected at most {MOST_MEMBERS:,} members, got more")
    try:
        with zipfile.ZipFile(BytesIO(contents)) as archive:
            members = archive.infolist()
            _check_members(members, where)
            packed = {member.orig_filename: _read_member(archive, member) for member in members}
    except DataError:
        raise
    except (*DAMAGE, zipfile.BadZipFile) as reason:
        raise DataError(f"{where}: expected an intact .npz, got {reason!s:.80}") from None
    return {
        name.removesuffix(".npy"): read_npy(content, f"{where}: {name}")
        for name, content in packed.items()
    }


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    # Without a size it would inflate all there is, and cut that to the declared size afterwards.
    with archive.open(member) as stream:
        return stream.read(member.file_size)


def _check_members(members: list[zipfile.ZipInfo], where: object) -> None:
    for member in members:
        name = member.orig_filename  # the unabridged one: the other ends at a zero byte
        if not MEMBER.fullmatch(name):
            raise DataError(f"{where}: expected members like x.npy, got {name!r:.80}")
        packed = member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if packed or member.flag_bits & 1:
            raise DataError(f"{where}: {name}: expected it plain or deflated")
    if len({member.orig_filename for member in members}) != len(members):
        raise DataError(f"{where}: expected every member once, got some twice")
    total = sum(member.file_size for member in members)
    if total > LIMIT:
        raise DataError(f"{where}: expected at most {LIMIT:,} bytes unpacked, got {total:,}")
