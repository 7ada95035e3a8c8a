import io
import re
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.weights import WeightsError, from_arrays, read
from runner.weights.npz import read_npy, read_npz
from runner.weights.parameters import LIMIT

promise = pytest.mark.promise(
    "A weight file from anywhere runs no code, crashes nothing, takes no undeclared memory"
)
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


def npy(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=True)
    return stream.getvalue()


def headed(text, data=bytes(4), version=1):
    """An npy file with any header."""
    raw = text.encode("latin1") if isinstance(text, str) else text
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", len(raw))
        + raw
        + data
    )


def described(dtype="'<f4'", shape="(1,)", fortran="False", data=bytes(4)):
    return headed(f"{{'descr': {dtype}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n", data)


def zipped(*members, method=STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def directory(content, offset, form, value):
    """Change one field of the first entry of the central directory."""
    start = content.index(b"PK\x01\x02") + offset
    return content[:start] + struct.pack(form, value) + content[start + struct.calcsize(form) :]


def extra(content, offset, value):
    """Give a field of the first entry of the central directory in 64 bits, as an extra field."""
    content = directory(directory(content, offset, "<I", 2**32 - 1), 30, "<H", 12)
    at = content.index(b"PK\x01\x02") + 46 + len("W1.npy")
    end = content.index(b"PK\x05\x06") + 12
    (size,) = struct.unpack_from("<I", content, end)
    content = content[:end] + struct.pack("<I", size + 12) + content[end + 4 :]
    return content[:at] + struct.pack("<HHQ", 1, 8, value) + content[at:]


def directory64(content, size, offset, place=None):
    """Say in 64 bits where the central directory is."""
    at = content.index(b"PK\x05\x06")
    place = at if place is None else place
    fields = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, offset)
    return content[:at] + fields + struct.pack("<4sLQL", b"PK\6\7", 0, place, 1) + content[at:]


GOOD = npy(np.ones(1, "f4"))
ONE = zipped(("W1.npy", GOOD))
# 64 MiB that are 64 kB in the file.
BOMB = zipped(("W1.npy", described(shape="(2,)", data=bytes(2**26))), method=DEFLATED)
FLAGS, METHOD, CHECKSUM, SIZE, OFFSET = 8, 10, 16, 24, 42


def member(content, message):
    return zipped(("W1.npy", content)), f"W1: {message}"


def whole(content, got):
    return content, f"expected an npz file of plain arrays, got {got}"


BAD = {
    "duplicate": whole(zipped(("W1.npy", GOOD), ("W1.npy", GOOD)), "the member 'W1.npy' twice"),
    "parent": whole(zipped(("../W1.npy", GOOD)), "the member '../W1.npy'"),
    "absolute": whole(zipped(("/etc/W1.npy", GOOD)), "the member '/etc/W1.npy'"),
    "folder": whole(zipped(("a/", b"")), "the member 'a/'"),
    "backslash": whole(zipped(("a\\W1.npy", GOOD)), r"the member 'a\\W1.npy'"),
    "drive": whole(zipped(("C:W1.npy", GOOD)), "the member 'C:W1.npy'"),
    "other ending": whole(zipped(("W1", GOOD)), "the member 'W1'"),
    "zero byte": whole(
        ONE.replace(b"W1.npy", b"W1.np\0").replace(b"W1.np\0", b"W\0.npy"),
        r"the member 'W\x00.npy'",
    ),
    "torch": whole(zipped(("archive/data.pkl", b"")), "the member 'archive/data.pkl'"),
    "many": whole(zipped(*((f"W{n}.npy", b"") for n in range(1001))), "more than 1000 members"),
    "false directory": whole(ONE + b"PK\x01\x02" * 1001, "more than 1000 members"),
    "encrypted": whole(directory(ONE, FLAGS, "<H", 1), "the encrypted member 'W1.npy'"),
    "bzip2": whole(zipped(("W1.npy", GOOD), method=zipfile.ZIP_BZIP2), "compression method 12"),
    "lzma": whole(zipped(("W1.npy", GOOD), method=zipfile.ZIP_LZMA), "compression method 14"),
    "unknown method": whole(directory(ONE, METHOD, "<H", 99), "compression method 99"),
    "declares too much": whole(
        zipped(("b1.npy", GOOD), ("W1.npy", GOOD)).replace(
            struct.pack("<II", len(GOOD), len(GOOD)), struct.pack("<II", len(GOOD), 2**29 + 1)
        ),
        f"{2**30 + 2} bytes, more than {LIMIT}",
    ),
    "declares more than it has": whole(
        directory(zipped(("W1.npy", GOOD), method=DEFLATED), SIZE, "<I", 2**20),
        f"{len(GOOD)} bytes instead of {2**20} in a member",
    ),
    "stored beyond the end": whole(
        directory(ONE, SIZE, "<I", 2**20), f"{len(GOOD)} bytes instead of {2**20} in a member"
    ),
    "inflates more than it declares": whole(
        directory(BOMB, SIZE, "<I", 200), "a damaged zip archive"
    ),
    "wrong checksum": whole(directory(ONE, CHECKSUM, "<I", 1), "a damaged zip archive"),
    "flipped bit": whole(ONE.replace(b"\x80\x3f", b"\x81\x3f"), "a damaged zip archive"),
    "cut": whole(ONE[:-30], "a damaged zip archive"),
    "cut after the magic": whole(b"PK\x03\x04", "a damaged zip archive"),
    "size of 64 bits": whole(extra(ONE, SIZE, 2**64 - 1), f"{2**64 - 1} bytes, more than {LIMIT}"),
    **{
        f"{field} of {value}": whole(content, "a damaged zip archive")
        for value in (2**62, 2**63 - 1, 2**63, 2**64 - 1)
        for field, content in (
            ("offset", extra(ONE, OFFSET, value)),
            ("directory's size", directory64(ONE, value, 0)),
            ("directory's offset", directory64(ONE, 52, value)),
            ("directory's place", directory64(ONE, 52, 0, value)),
        )
    },
    "name not UTF-8": whole(
        directory(ONE, FLAGS, "<H", 0x800).replace(b"W1.npy", b"\xff1.npy"), "a damaged zip archive"
    ),
    "broken deflation": whole(directory(ONE, METHOD, "<H", 8), "a damaged zip archive"),
    "objects": member(npy(np.array([None])), "expected an array of real numbers, got dtype '|O'"),
    "pickle for header": member(
        headed(b"\x80\x04}."), r"expected a plain npy header, got '\x80\x04}.'"
    ),
    "fields": member(
        npy(np.ones(1, "f4,f4")),
        "expected a plain npy header, got \"{'descr': [(...           \\n\"",
    ),
    "sub-array": member(
        described("('<f4', (2,))"),
        "expected a plain npy header, got \"{'descr': ('...e': (1,), }\\n\"",
    ),
    "complex": member(
        npy(np.ones(1, complex)), "expected an array of real numbers, got dtype '<c16'"
    ),
    "strings": member(npy(np.ones(1, "U1")), "expected an array of real numbers, got dtype '<U1'"),
    "times": member(
        npy(np.zeros(1, "M8[s]")), "expected an array of real numbers, got dtype '<M8[s]'"
    ),
    "quadruple": member(
        described("'<f16'", data=bytes(16)), "expected an array of real numbers, got dtype '<f16'"
    ),
    "several dtypes": member(
        described("'f4,f4'"), "expected an array of real numbers, got dtype 'f4,f4'"
    ),
    "no byte order": member(described("'f4'"), "expected an array of real numbers, got dtype 'f4'"),
    "huge shape": member(
        described(shape="(1073741824, 1073741824)"),
        f"expected {2**62} bytes for shape (1073741824, 1073741824) of <f4, got 4",
    ),
    "overflowing shape": member(
        described(shape="(4611686018427387904, 4)"),
        "expected a plain npy header, got \"{'descr': '<...7904, 4), }\\n\"",
    ),
    "negative shape": member(
        described(shape="(-1,)"),
        "expected a plain npy header, got \"{'descr': '<...': (-1,), }\\n\"",
    ),
    "octal shape": member(
        described(shape="(01,)"),
        "expected a plain npy header, got \"{'descr': '<...': (01,), }\\n\"",
    ),
    "empty shape": member(npy(np.ones((0, 2))), "expected a matrix or a vector, got shape (0, 2)"),
    "three sides": member(
        npy(np.ones((1, 1, 1))), "expected a matrix or a vector, got shape (1, 1, 1)"
    ),
    "number for shape": member(
        described(shape="(1)"),
        "expected a plain npy header, got \"{'descr': '<...pe': (1), }\\n\"",
    ),
    "too few bytes": member(
        described(shape="(2,)"), "expected 8 bytes for shape (2,) of <f4, got 4"
    ),
    "too many bytes": member(GOOD + b"\0", "expected 4 bytes for shape (1,) of <f4, got 5"),
    "call in header": member(
        headed("__import__('os').system('true')"),
        "expected a plain npy header, got \"__import__('...ystem('true')\"",
    ),
    "deep header": member(
        headed("(" * 9000), "expected a plain npy header, got '((((((((((((...((((((((((((('"
    ),
    "long header": member(
        headed(" " * 10_001), r'''expected an npy array, got b"\x93NUMPY\x...00\x11'      "'''
    ),
    "header beyond the end": member(
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        r"expected an npy array, got b'\x93NUMPY\x...\xff\xff\xff{'",
    ),
    "unknown version": member(
        headed("{}", version=9), r"expected an npy array, got b'\x93NUMPY\t...x00{}\x00\x00'"
    ),
    "no npy": member(b"\x80\x04}.", r"expected an npy array, got b'\x80\x04}.'"),
    "nothing": member(b"", "expected an npy array, got b''"),
    "missing key": member(
        headed("{'descr': '<f4', 'shape': (1,), }"),
        "expected a plain npy header, got \"{'descr': '<...ape': (1,), }\"",
    ),
    "no members": (zipped(), "expected W1..Wn with b1..bn or B1..Bn, got no arrays"),
    "other members": (zipped(("x.npy", GOOD)), "expected W1..Wn with b1..bn or B1..Bn, got 'x'"),
    "not finite": (
        zipped(("W1.npy", npy([[np.nan]])), ("b1.npy", npy([1.0]))),
        "W1: expected finite numbers, got nan at [0, 0]",
    ),
}


@promise
@pytest.mark.parametrize("case", BAD)
def test_bad_npz_is_refused(case):
    content, message = BAD[case]
    with pytest.raises(WeightsError, match=f"^w: {re.escape(message)}$"):
        from_arrays(read_npz(content, "w"), "w")


@promise
def test_bad_npz_run_nothing_in_little_memory(watched_read):
    outcomes, events, left = watched_read({case: content for case, (content, _) in BAD.items()})
    assert events == []
    assert left == set()
    assert outcomes == {case: message for case, (_, message) in BAD.items()}


@promise
def test_inflation_stops_at_what_is_declared():
    content = directory(BOMB, SIZE, "<I", 200)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match="a damaged zip archive"):
            read_npz(content, "w")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saves_is_read(save, tmp_path, arrays):
    arrays["W1"] = np.asfortranarray(arrays["W1"])
    arrays["b1"] = arrays["b1"].astype(">f8")
    arrays["W2"] = np.ones((3, 2), bool)
    arrays["b2"] = np.array([-1, 2], "i2")
    save(tmp_path / "w.npz", **arrays)
    weights = read(tmp_path / "w.npz")
    for name, array in weights.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy_is_read(version):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.arange(6.0).reshape(2, 3).T, version)
    np.testing.assert_array_equal(read_npy(stream.getvalue(), "x"), [[0, 3], [1, 4], [2, 5]])


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
        "{'descr':'<f4','fortran_order':False,'shape':(2,3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3,)}   \n",
    ],
)
def test_headers_of_other_writers_are_read(text):
    content = headed(text, np.arange(6, dtype="<f4").tobytes())
    np.testing.assert_array_equal(read_npy(content, "x"), [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(np.load(io.BytesIO(content)), [[0, 1, 2], [3, 4, 5]])


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None, database=None)
def test_random_bytes_are_refused(content):
    with pytest.raises(WeightsError):
        read_npz(b"PK\x03\x04" + content, "x")
    with pytest.raises(WeightsError):
        read_npy(content, "x")


def test_as_much_as_the_limits_allow_is_read_and_no_more(monkeypatch):
    members = [(f"W{n}.npy", GOOD) for n in range(1, 1001)]
    assert len(read_npz(zipped(*members), "w")) == 1000
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"
    assert read_npy(headed(text.ljust(10_000)), "w").tolist() == [0]
    monkeypatch.setattr("runner.weights.npz.LIMIT", 2 * len(GOOD))
    assert list(read_npz(zipped(*members[:2]), "w")) == ["W1", "W2"]
    got = f"{3 * len(GOOD)} bytes, more than {2 * len(GOOD)}"
    with pytest.raises(WeightsError, match=f"^w: expected an npz file of plain arrays, got {got}$"):
        read_npz(zipped(*members[:3]), "w")
