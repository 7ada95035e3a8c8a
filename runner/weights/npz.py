"""NumPy's npz files: a zip of npy members, checked before and while they are inflated."""

import io
import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from runner.weights.parameters import LIMIT, WeightsError, shown, view

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

MOST_MEMBERS = 1000
MEMBER = re.compile(r"([A-Za-z0-9_]{1,100})\.npy")
SIDE = "(?:0|[1-9][0-9]{0,9})"
HEADER = re.compile(
    r"\{ ?'descr': ?'(?P<dtype>[^']{1,20})', ?"
    r"'fortran_order': ?(?P<fortran>True|False), ?"
    rf"'shape': ?\((?P<shape>(?:{SIDE},(?: ?{SIDE},)*(?: ?{SIDE})?)?)\),? ?\}} *\n?"
)
LONGEST_HEADER = 10_000

# What the standard library's readers raise, besides BadZipFile, when bytes make no sense.
DAMAGE = (EOFError, OSError, OverflowError, RuntimeError, ValueError, struct.error, zlib.error)


def read_npz(data: bytes, where: str) -> dict[str, NDArray[Any]]:
    """
    Read the arrays of an npz file, stored or deflated, without unpickling anything.

    Raises
    ------
    WeightsError
        If it is no such file, has members that are not plain arrays, or would unfold to
        more than `LIMIT` bytes.
    """
    from zipfile import BadZipFile, ZipFile

    # Counted first: the archive's own reader would build every entry of a false directory.
    if data.count(b"PK\x01\x02") > MOST_MEMBERS:
        raise _refusal(where, f"more than {MOST_MEMBERS} members")
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            members = _members(archive, where)
            return {
                name: read_npy(_inflated(archive, member, where), f"{where}: {name}")
                for name, member in members.items()
            }
    except WeightsError:
        raise
    except (*DAMAGE, BadZipFile) as cause:
        raise _refusal(where, "a damaged zip archive") from cause


def read_npy(data: bytes, where: str) -> NDArray[Any]:
    """
    View the bytes of one npy member as an array.

    Raises
    ------
    WeightsError
        If the header is not that of an array of plain numbers, or promises another size.
    """
    widths = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4, b"\x93NUMPY\x03\x00": 4}
    start = 8 + widths.get(data[:8], 0)
    length = int.from_bytes(data[8:start], "little")
    if start == 8 or length > min(LONGEST_HEADER, len(data) - start):
        raise WeightsError(f"{where}: expected an npy array, got {shown(data[:16])}")
    text = str(data[start : start + length], "latin1")
    header = HEADER.fullmatch(text)
    if header is None:
        raise WeightsError(f"{where}: expected a plain npy header, got {shown(text)}")
    shape = [int(side) for side in re.findall("[0-9]+", header["shape"])]
    numbers = memoryview(data)[start + length :]
    return view(numbers, header["dtype"], shape, header["fortran"] == "True", where)


def _members(archive: "ZipFile", where: str) -> dict[str, "ZipInfo"]:
    """Name the members and check what they declare, before any of them is inflated."""
    from zipfile import ZIP_DEFLATED, ZIP_STORED

    members: dict[str, ZipInfo] = {}
    for member in archive.infolist():
        # The unabridged name: the short one ends at a zero byte.
        name = MEMBER.fullmatch(member.orig_filename)
        if name is None:
            raise _refusal(where, f"the member {shown(member.orig_filename)}")
        if name[1] in members:
            raise _refusal(where, f"the member {shown(name[0])} twice")
        if member.flag_bits & 1:
            raise _refusal(where, f"the encrypted member {shown(name[0])}")
        if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise _refusal(where, f"compression method {member.compress_type}")
        members[name[1]] = member
    total = sum(member.file_size for member in members.values())
    if total > LIMIT:
        raise _refusal(where, f"{total} bytes, more than {LIMIT}")
    return members


def _inflated(archive: "ZipFile", member: "ZipInfo", where: str) -> bytes:
    """Inflate a member to the size it declares, at most; a wrong checksum raises."""
    with archive.open(member) as stream:
        data = stream.read(member.file_size)
    if len(data) != member.file_size:
        raise _refusal(where, f"{len(data)} bytes instead of {member.file_size} in a member")
    return data


def _refusal(where: str, what: str) -> WeightsError:
    return WeightsError(f"{where}: expected an npz file of plain arrays, got {what}")
