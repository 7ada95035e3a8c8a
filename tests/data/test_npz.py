import io
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from runner.data import DataError, npz
from runner.data.npz import read_npy, read_npz

promise = pytest.mark.promise("A data file that is malformed, damaged or too large is never used")


def saved(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def header(text, data=b"", version=(1, 0)):
    size = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + text.encode() + data


def described(shape, descr="'|u1'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=">i4"),
        np.array([True, False]),
        np.float16(0.5),
        np.zeros((0, 3)),
    ],
)
def test_reads_what_numpy_writes(array):
    read = read_npy(saved(array), "a.npy")
    assert read.dtype == array.dtype
    assert np.array_equal(read, array)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_reads_every_version(version):
    assert read_npy(header(described("(2,)"), b"\x01\x02", version), "a.npy").tolist() == [1, 2]


DEEP = "(" * 5000 + ")" * 4000
BAD_HEADERS = {
    "empty": b"",
    "magic alone": b"\x93NUMPY",
    "no length": b"\x93NUMPY\x01\x00",
    "header cut": saved(np.zeros(2))[:40],
    "version 9": header(described("(2,)"), b"\x01\x02", (9, 0)),
    "no dictionary": header("[1, 2]"),
    "no literal": header("__import__('os').getcwd()"),
    "unclosed": header("{'descr': '|u1'"),
    "unclosed text": header("'''"),
    "key missing": header("{'descr': '|u1', 'shape': (2,)}"),
    "keys of two types": header("{1: 2, 'shape': (2,)}"),
    "unhashable key": header("{[]: 2}"),
    "shape a list": header(described("[2]")),
    "shape of floats": header(described("(2.0,)")),
    "shape of booleans": header(described("(True,)"), b"\x01"),
    "shape of Python 2": header(described("(1L,)"), b"\x01"),
    "negative shape": header(described("(-1,)"), b"\x01"),
    "octal shape": header(described("(01,)"), b"\x01"),
    "33 dimensions": header(described(f"({'1, ' * 33})"), b"\x01"),
    "11 digits": header(described("(10000000000,)"), b"\x01"),
    "escape in a text": header(described("(2,)", r"'\d' '<f4'")),
    "fields": saved(np.zeros(1, [("a", "i4")])),
    "sub-array": header(described("(1,)", "('<f4', (2,))"), bytes(8)),
    "deep": header(DEEP[:60000]),
    "too long": header(described("(2,)") + " " * 20000),
}


@promise
@pytest.mark.parametrize("case", BAD_HEADERS)
def test_malformed_header(case):
    with pytest.raises(DataError, match=r"^a\.npy: expected an intact \.npy header, got .{,99}$"):
        read_npy(BAD_HEADERS[case], "a.npy")


REAL = "expected an array of real numbers, got"


@promise
@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (saved(np.array([{}]), allow_pickle=True), f"{REAL} '|O' of (1,)"),
        (saved(np.array(["a"])), f"{REAL} '<U1' of (1,)"),
        (saved(np.array([1j])), f"{REAL} '<c16' of (1,)"),
        (header(described("(1,)", "'<f16'"), bytes(16)), f"{REAL} '<f16' of (1,)"),
        (header(described("(2,)", "'nothing'")), f"{REAL} 'nothing' of (2,)"),
        (
            header(described("(0, 2147483648)")),
            "expected at most 1,073,741,824 values, got (0, 2147483648)",
        ),
        (saved(np.zeros(2))[:-1], "expected 16 bytes for float64 (2,), got 15"),
        (saved(np.zeros(2)) + b"\0", "expected 16 bytes for float64 (2,), got 17"),
        (
            header(described("(1000000000,)"), b"\x01"),
            "expected 1,000,000,000 bytes for uint8 (1000000000,), got 1",
        ),
    ],
)
def test_malformed_contents(contents, message):
    with pytest.raises(DataError, match=f"^{re.escape(f'a.npy: {message}')}$"):
        read_npy(contents, "a.npy")


def archived(members, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, contents in members:
            archive.writestr(name, contents)
    return stream.getvalue()


ARRAY = saved(np.arange(6.0).reshape(2, 3))
GOOD = archived([("x.npy", ARRAY), ("t.npy", saved(np.array([0, 1])))])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reads_archives_that_numpy_writes(save):
    stream = io.BytesIO()
    save(stream, x=np.ones((2, 3)), t=np.array([0, 1]))
    arrays = read_npz(stream.getvalue(), "a.npz")
    assert list(arrays) == ["x", "t"]
    assert np.array_equal(arrays["x"], np.ones((2, 3)))


def encrypted(contents):
    # Bit 0 of the flags, in the member's own header and in the directory.
    directory = contents.index(b"PK\1\2")
    changed = bytearray(contents)
    changed[6] |= 1
    changed[directory + 8] |= 1
    return bytes(changed)


def damaged(contents):
    at = contents.index(ARRAY[80:100])
    return contents[:at] + b"\xff" + contents[at + 1 :]


STORED = archived([("x.npy", ARRAY)], zipfile.ZIP_STORED)


def beyond(contents, offset):
    """Give the first member's place in 64 bits."""
    at, end = contents.index(b"PK\1\2"), contents.index(b"PK\5\6")
    entry = bytearray(contents[at:end])
    entry[30:32], entry[42:46] = struct.pack("<H", 12), b"\xff" * 4
    entry += struct.pack("<HHQ", 1, 8, offset)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry), at, 0)
    return contents[:at] + bytes(entry) + last


def misnamed(contents):
    """Say that the names are UTF-8, which they are not."""
    at = contents.index(b"PK\1\2")
    contents = contents[: at + 9] + b"\x08" + contents[at + 10 :]
    return contents.replace(b"x.npy", b"\xff.npy")


@promise
@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"PK\3\4", "expected an intact .npz, got File is not a zip file"),
        (beyond(STORED, 2**62), "expected an intact .npz, got "),
        (beyond(STORED, 2**63), "expected an intact .npz, got Python int too large"),
        (misnamed(STORED), "expected an intact .npz, got 'utf-8' codec can't decode"),
        (STORED + b"PK\1\2" * 1000, "expected at most 1,000 members, got more"),
        (archived([("\x1b[2J\n.npy", ARRAY)]), r"expected members like x.npy, got '\x1b[2J\n.npy'"),
        (archived([("../x.npy", ARRAY)]), "expected members like x.npy, got '../x.npy'"),
        (archived([("x" * 200 + ".npy", ARRAY)]), "expected members like x.npy, got 'xxx"),
        (GOOD[:-1], "expected an intact .npz, got"),
        (damaged(STORED), "expected an intact .npz, got Bad CRC-32 for file 'x.npy'"),
        (archived([("x.txt", b"1")]), "expected members like x.npy, got 'x.txt'"),
        (encrypted(STORED), "x.npy: expected it plain or deflated"),
        (
            archived([("x.npy", ARRAY)], zipfile.ZIP_BZIP2),
            "x.npy: expected it plain or deflated",
        ),
        (archived([("x.npy", b"1")]), "x.npy: expected an intact .npy header, got b'1'"),
        (
            archived([("x.npy", saved(np.array([{}]), allow_pickle=True))]),
            f"x.npy: {REAL} '|O' of (1,)",
        ),
    ],
)
def test_malformed_archive(contents, message):
    with pytest.raises(DataError, match=f"^{re.escape(f'a.npz: {message}')}") as refusal:
        read_npz(contents, "a.npz")
    assert str(refusal.value).isprintable()


@promise
def test_a_member_that_is_there_twice():
    with pytest.warns(UserWarning, match="Duplicate name"):
        contents = archived([("x.npy", ARRAY), ("x.npy", ARRAY)])
    with pytest.raises(DataError, match=r"^a\.npz: expected every member once, got some twice$"):
        read_npz(contents, "a.npz")


@promise
def test_a_bomb_is_refused_by_its_declared_size(monkeypatch):
    monkeypatch.setattr(npz, "LIMIT", 2**20)
    contents = archived([("x.npy", saved(np.zeros(2**21, np.uint8)))])
    assert len(contents) < 10_000
    message = f"a.npz: expected at most 1,048,576 bytes unpacked, got {2**21 + 128:,}"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_npz(contents, "a.npz")


@promise
def test_a_bomb_that_lies_about_its_size_is_not_inflated():
    contents = archived([("x.npy", saved(np.zeros(2**25, np.uint8)))])
    declared = (2**25 + 128).to_bytes(4, "little")
    assert contents.count(declared) == 2
    tracemalloc.start()
    with pytest.raises(DataError, match=r"^a\.npz: expected an intact \.npz, got Bad CRC-32"):
        read_npz(contents.replace(declared, (256).to_bytes(4, "little")), "a.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


@promise
@pytest.mark.parametrize(
    ("contents", "shown"),
    [
        (header(described("(2,)"), b"\1\2", (9, 0)), 8),
        (b"X" + header(described("(2,)"), b"\1\2")[1:], 10),
        (header(described("(0,)"))[:-1], 10),
        (header(described("(2,)").ljust(10_001), b"\1\2"), 10),
    ],
    ids=["version", "magic", "cut", "long"],
)
def test_a_header_that_is_not_one_for_one_reason_is_refused(contents, shown):
    message = f"a.npy: expected an intact .npy header, got {contents[:shown]!r}"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_npy(contents, "a.npy")


@promise
def test_sides_may_be_as_long_as_the_limit_where_there_is_nothing():
    assert read_npy(header(described("(2,)").ljust(10_000), b"\1\2"), "a.npy").tolist() == [1, 2]
    assert read_npy(header(described("(0, 1073741824)")), "a.npy").shape == (0, 2**30)
    message = "expected at most 1,073,741,824 values, got (0, 1073741825)"
    with pytest.raises(DataError, match=f"^{re.escape(f'a.npy: {message}')}$"):
        read_npy(header(described("(0, 1073741825)")), "a.npy")


@promise
def test_as_much_as_the_limits_allow_is_read_and_no_more(monkeypatch):
    members = [(f"x{n}.npy", ARRAY) for n in range(1001)]
    assert len(read_npz(archived(members[:1000]), "a.npz")) == 1000
    with pytest.raises(DataError, match=r"^a\.npz: expected at most 1,000 members, got more$"):
        read_npz(archived(members), "a.npz")
    for limit, read in ((2 * len(ARRAY), True), (2 * len(ARRAY) - 1, False)):
        monkeypatch.setattr(npz, "LIMIT", limit)
        if read:
            assert list(read_npz(archived(members[:2]), "a.npz")) == ["x0", "x1"]
        else:
            with pytest.raises(DataError, match=f"expected at most {limit} bytes unpacked"):
                read_npz(archived(members[:2]), "a.npz")
