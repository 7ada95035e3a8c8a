import gzip
import re
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from runner.data import DataError
from runner.data.idx import LIMIT, header, inflate, open_idx, open_payload, read_header, read_idx

promise = pytest.mark.promise("A data file that is malformed, damaged or too large is never used")

VALUES = np.arange(2 * 3 * 4, dtype=np.uint8)
DATA = VALUES.tobytes()


def idx(*shape, kind=0x08, data=DATA):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape) + data


GOOD = idx(2, 3, 4)
PACKED = gzip.compress(GOOD)


def refused(message):
    return pytest.raises(DataError, match=f"^{re.escape(f'a.idx: {message}')}$")


@pytest.mark.parametrize("shape", [(24,), (4, 6), (2, 3, 4), (1, 2, 3, 4), (24, *[1] * 31)])
def test_reads_every_number_of_dimensions(shape):
    array = read_idx(idx(*shape), "a.idx")
    assert array.dtype == np.uint8
    assert np.array_equal(array, VALUES.reshape(shape))


def test_sizes_are_big_endian():
    assert read_idx(b"\0\0\x08\x01\0\0\x01\x02" + bytes(258), "a.idx").shape == (258,)


START = "expected an IDX header that starts with 00 00, got"
BETWEEN = f"expected between 1 and {LIMIT:,} values, got"
MALFORMED = {
    "empty": (b"", f"{START} no bytes"),
    "one byte": (GOOD[:1], f"{START} 00"),
    "three bytes": (GOOD[:3], f"{START} 00 00 08"),
    "first magic byte": (b"\1" + GOOD[1:], f"{START} 01 00 08 03"),
    "second magic byte": (b"\0\1" + GOOD[2:], f"{START} 00 01 08 03"),
    "little-endian magic": (GOOD[3::-1] + GOOD[4:], f"{START} 03 08 00 00"),
    "text": (b"<html></html>", f"{START} 3c 68 74 6d"),
    "zip": (b"PK\3\4" + GOOD, f"{START} 50 4b 03 04"),
    "npy": (b"\x93NUMPY", f"{START} 93 4e 55 4d"),
    "signed": (idx(24, kind=0x09), "IDX type: expected 0x08 unsigned byte, got 0x09 signed byte"),
    "short": (idx(12, kind=0x0B), "IDX type: expected 0x08 unsigned byte, got 0x0b short"),
    "int": (idx(6, kind=0x0C), "IDX type: expected 0x08 unsigned byte, got 0x0c int"),
    "float": (idx(6, kind=0x0D), "IDX type: expected 0x08 unsigned byte, got 0x0d float"),
    "double": (idx(3, kind=0x0E), "IDX type: expected 0x08 unsigned byte, got 0x0e double"),
    "no type": (idx(24, kind=0), "IDX type: expected 0x08 unsigned byte, got 0x00 unknown"),
    "type 0a": (idx(24, kind=0x0A), "IDX type: expected 0x08 unsigned byte, got 0x0a unknown"),
    "type ff": (idx(24, kind=0xFF), "IDX type: expected 0x08 unsigned byte, got 0xff unknown"),
    "no dimensions": (idx(), "IDX dimensions: expected 1..32, got 0"),
    "33 dimensions": (idx(24, *[1] * 32), "IDX dimensions: expected 1..32, got 33"),
    "255 dimensions": (idx(24, *[1] * 254), "IDX dimensions: expected 1..32, got 255"),
    "header only begun": (GOOD[:4], "IDX header: expected 16 bytes, got 4"),
    "header cut": (GOOD[:15], "IDX header: expected 16 bytes, got 15"),
    "no data": (GOOD[:16], "expected 40 bytes for 2 x 3 x 4, got 16"),
    "data cut by one": (GOOD[:-1], "expected 40 bytes for 2 x 3 x 4, got 39"),
    "data longer by one": (GOOD + b"\0", "expected 40 bytes for 2 x 3 x 4, got 41"),
    "twice": (GOOD + GOOD, "expected 40 bytes for 2 x 3 x 4, got 80"),
    "one dimension less": (idx(2, 3), "expected 18 bytes for 2 x 3, got 36"),
    "no samples": (idx(0, 3, 4), f"IDX shape: {BETWEEN} 0 x 3 x 4"),
    "no columns": (idx(2, 3, 0), f"IDX shape: {BETWEEN} 2 x 3 x 0"),
    "one dimension more": (idx(2, 3, 4, 2), "expected 68 bytes for 2 x 3 x 4 x 2, got 44"),
    "sizes swapped with the data": (GOOD[:4] + DATA[:12] + GOOD[4:16], f"IDX shape: {BETWEEN} "),
    "sizes of nothing": (b"\0\0\x08\3" + bytes(36), f"IDX shape: {BETWEEN} 0 x 0 x 0"),
    "sizes of ones": (b"\0\0\x08\3" + b"\xff" * 36, f"IDX shape: {BETWEEN} 4294967295 x 42949"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, f"{START} ef bb bf 00"),
    "line ends turned": (GOOD.replace(b"\n", b"\r\n"), "expected 40 bytes for 2 x 3 x 4, got 41"),
    "cut in the middle": (GOOD[: len(GOOD) // 2], "expected 40 bytes for 2 x 3 x 4, got 20"),
    "over the limit": (idx(LIMIT + 1), f"IDX shape: {BETWEEN} {LIMIT + 1}"),
    "largest size": (idx(2**32 - 1), f"IDX shape: {BETWEEN} {2**32 - 1}"),
    "product wraps at 32 bits": (
        idx(2**16, 2**16, 24),
        f"IDX shape: {BETWEEN} 65536 x 65536 x 24",
    ),
    "product wraps at 64 bits to 0": (
        idx(2**31, 2**31, 4),
        f"IDX shape: {BETWEEN} {2**31} x {2**31} x 4",
    ),
    "little-endian sizes": (
        b"\0\0\x08\x01" + struct.pack("<I", 24) + VALUES.tobytes(),
        f"expected {8 + 24 * 2**24:,} bytes for {24 * 2**24}, got 32",
    ),
}


@promise
@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_idx(case):
    payload, message = MALFORMED[case]
    with pytest.raises(DataError, match=f"^{re.escape(f'a.idx: {message}')}"):
        read_idx(payload, "a.idx")


def flipped(packed, at):
    return packed[:at] + bytes([packed[at] ^ 0x10]) + packed[at + 1 :]


DAMAGED = "expected an intact gzip stream, got Error -3 while decompressing data:"
CUT = "expected a whole gzip stream, got a cut one"
MALFORMED_GZIP = {
    "magic alone": (PACKED[:2], CUT),
    "header alone": (PACKED[:10], CUT),
    "cut in the data": (gzip.compress(idx(5000, data=bytes(range(250)) * 20))[:60], CUT),
    "no trailer": (PACKED[:-8], CUT),
    "no length": (PACKED[:-4], CUT),
    "last byte missing": (PACKED[:-1], CUT),
    "wrong CRC": (flipped(PACKED, -8 + len(PACKED)), f"{DAMAGED} incorrect data check"),
    "wrong length": (flipped(PACKED, -4 + len(PACKED)), f"{DAMAGED} incorrect length check"),
    "other method": (flipped(PACKED, 2), f"{DAMAGED} unknown compression method"),
    "reserved flags": (
        PACKED[:3] + b"\xe0" + PACKED[4:],
        f"{DAMAGED} unknown header flags set",
    ),
    "invalid block": (PACKED[:10] + b"\xff" + PACKED[11:], f"{DAMAGED} invalid block type"),
    "stored byte flipped": (
        flipped(gzip.compress(GOOD, 0), 10 + 5 + 20),
        f"{DAMAGED} incorrect data check",
    ),
    "trailing zero": (PACKED + b"\0", "expected one gzip stream, got 1 bytes after it"),
    "trailing text": (PACKED + b"trailer", "expected one gzip stream, got 7 bytes after it"),
    "second member": (
        PACKED + PACKED,
        f"expected one gzip stream, got {len(PACKED)} bytes after it",
    ),
    "split over members": (
        gzip.compress(GOOD[:20]) + gzip.compress(GOOD[20:]),
        f"expected one gzip stream, got {len(gzip.compress(GOOD[20:]))} bytes after it",
    ),
    "empty contents": (gzip.compress(b""), f"{START} no bytes"),
    "text inside": (gzip.compress(b"0,0,1\n"), f"{START} 30 2c 30 2c"),
    "gzip inside": (gzip.compress(PACKED), f"{START} 1f 8b 08 00"),
    "header cut inside": (gzip.compress(GOOD[:15]), "IDX header: expected 16 bytes, got 15"),
    "longer inside": (gzip.compress(GOOD + b"\0"), "expected 40 bytes for 2 x 3 x 4, got more"),
    "declares 4 GB": (gzip.compress(idx(2**32 - 1)), f"IDX shape: {BETWEEN} {2**32 - 1}"),
}


@promise
@pytest.mark.parametrize("case", MALFORMED_GZIP)
def test_malformed_gzip(case):
    packed, message = MALFORMED_GZIP[case]
    with refused(message):
        inflate(packed, "a.idx")


@promise
def test_payload_shorter_than_declared_is_found_by_its_length():
    payload = inflate(gzip.compress(GOOD[:-1]), "a.idx")
    with refused("expected 40 bytes for 2 x 3 x 4, got 39"):
        read_idx(payload, "a.idx")


@promise
@pytest.mark.parametrize("head", [idx(24, data=b""), b"GIF8"])
def test_a_bomb_is_refused_without_inflating_it(head):
    packer = zlib.compressobj(9, wbits=31)
    megabyte = bytes(2**20)
    packed = packer.compress(head) + b"".join(packer.compress(megabyte) for _ in range(64))
    packed += packer.flush()
    tracemalloc.start()
    with pytest.raises(DataError):
        inflate(packed, "a.idx")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@promise
@pytest.mark.parametrize("contents", [PACKED, gzip.compress(GOOD, 0)], ids=["packed", "stored"])
def test_no_flipped_bit_changes_what_is_read(contents, record_property):
    for bit in range(8 * len(contents)):
        changed = bytearray(contents)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            array = read_idx(open_payload(bytes(changed), "a.idx"), "a.idx")
        except DataError as reason:
            assert str(reason).isprintable()  # noqa: PT017
        else:  # a bit of the header that means nothing, such as the time
            assert np.array_equal(array, VALUES.reshape(2, 3, 4))
    record_property("cases", 8 * len(contents))


@pytest.mark.parametrize(
    "contents", [GOOD, PACKED, gzip.compress(GOOD, 0)], ids=["plain", "packed", "stored"]
)
def test_opens_plain_and_gzip_by_contents(tmp_path, contents):
    path = tmp_path / "images.dat"
    path.write_bytes(contents)
    assert open_idx(path) == GOOD


def test_opens_gzip_with_a_name_in_its_header(tmp_path):
    path = tmp_path / "images.gz"
    with gzip.GzipFile(filename="images", fileobj=path.open("wb"), mode="wb") as stream:
        stream.write(GOOD)
        inner = stream.fileobj
    inner.close()
    assert open_idx(path) == GOOD


def test_missing_file_is_named(tmp_path):
    path = tmp_path / "none"
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: expected a file, got none')}$"):
        open_idx(path)


def test_official_files(mnist_dir):
    labels = read_idx(open_idx(mnist_dir / "train-labels-idx1-ubyte.gz"), "labels")
    assert labels.shape == (60000,)
    assert labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def test_a_header_is_written_as_it_is_read():
    for shape in ((7,), (2, 3, 4), (60000, 28, 28)):
        assert header(shape) == idx(*shape, data=b"")
        assert read_header(header(shape), "a.idx") == (4 + 4 * len(shape), shape)


def test_the_fewest_and_the_most_values():
    assert read_idx(idx(1, data=b"\5"), "a.idx").tolist() == [5]
    assert read_header(header((LIMIT,)), "a.idx") == (8, (LIMIT,))
    with refused(f"IDX shape: {BETWEEN} {LIMIT + 1}"):
        read_header(header((LIMIT + 1,)), "a.idx")


@promise
def test_a_stream_that_is_cut_anywhere_is_refused(record_property):
    noise = np.random.default_rng(0).bytes(500)  # which packs to no less
    packed = gzip.compress(idx(500, data=noise))
    for end in range(2, len(packed)):
        with refused(CUT):
            inflate(packed[:end], "a.idx")
    record_property("cases", len(packed) - 2)


@promise
def test_a_stream_of_another_wrapping_is_refused():
    with refused(f"{DAMAGED} incorrect header check"):
        inflate(zlib.compress(GOOD), "a.idx")
