"""
Edit weight files at random and read them, with little memory and while nothing else may happen.

A program for a process of its own, in an empty folder: `edited.py FORMAT EXAMPLES`. Edits follow
the structure of a format (its opcodes, headers, fields), then its bytes, so that many of them get
deep into a reader. What is read must be what the format's own library reads.
"""

import io
import json
import pickle
import pickletools
import struct
import sys
import warnings
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import safetensors.numpy
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from runner import weights
from runner.data import DataError
from runner.data.npz import read_npz

FILE = "w"
BATCH = 2000  # examples that hypothesis remembers
ARRAYS = {"W1": np.array([[1.5, -2, 0], [4, 5, 6]], "f4"), "b1": np.array([0.1, 1, 2])}

# Numbers at the edges of what fields and memories hold.
POWERS = (0, 4, 8, 16, 30, 31, 32, 62, 63)
EDGES = sorted({2**n + d for n in POWERS for d in (-1, 0, 1)} | {2**64 - 1})
edges = st.sampled_from(EDGES)
positions = st.integers(0, 2**12)


def mostly(usual, unusual):
    """Change one thing at a time, often: more changes seldom get far into a reader."""
    return st.just(usual) | st.just(usual) | unusual


byte_edits = mostly(
    [],
    st.lists(
        st.tuples(positions, st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=2
    ),
)


def edited(content, edits):
    """Drop some bytes at each of some places and put others there."""
    for where, dropped, added in edits:
        at = where % (len(content) + 1)
        content = content[:at] + added + content[at + dropped :]
    return content


# Pickles: opcodes of good ones, mixed with those of bad ones.


def opcodes(content):
    places = [place for _, _, place in pickletools.genops(content)]
    return [content[start:end] for start, end in pairwise([*places, len(content)])]


VARIANTS = [
    ARRAYS,
    {"W1": np.asfortranarray(ARRAYS["W1"]), "B1": ARRAYS["b1"].astype(">f8")},
    {"W1": np.array([[True, False]]), "b1": np.array([-1, 2], "i2")},
]
PICKLES = [opcodes(pickle.dumps(arrays, n)) for arrays in VARIANTS for n in range(6)]
PICKLES += [opcodes(pickletools.optimize(pickle.dumps(ARRAYS, n))) for n in range(6)]
EXECUTE = b"cbuiltins\nexec\n", b'X\x14\0\0\0open("ran", "w").mode', b"\x85", b"R"
OPCODES = sorted(
    {opcode for content in PICKLES for opcode in content}
    | {opcode.code.encode("latin1") for opcode in pickletools.opcodes}
    | {code + b"\0" for code in (b"q", b"h", b"K", b"U", b"C", b"\x82", b"\x8a", b"\x8c")}
    | {b"cos\nsystem\n", b"ios\nsystem\n", b"Pid\n", b"h\1", b"h\2", b"q\1", b"(t", b"p-1\n"}
    | {b"cnumpy\nload\n", b"cnumpy._core.multiarray\nscalar\n", b"cnumpy\nndarray.__class__\n"}
    | {b"J" + struct.pack("<i", n) for n in (-1, -(2**31), 2**31 - 1)}
    | {code + struct.pack("<Q", n) for code in (b"\x8e", b"\x8d", b"\x96", b"\x95") for n in EDGES}
    | {b"".join(EXECUTE), *EXECUTE}
)
opcode_edits = st.lists(
    st.tuples(
        positions,
        st.sampled_from(["insert", "replace", "delete", "repeat", "swap", "cut"]),
        st.sampled_from(OPCODES),
    ),
    max_size=4,
)


@st.composite
def pickles(draw):
    content = list(draw(st.sampled_from(PICKLES)))
    for where, edit, opcode in draw(opcode_edits):
        at = where % (len(content) + 1)
        here, after = content[at : at + 1], content[at + 1 :]
        content[at:] = {
            "insert": [opcode, *here, *after],
            "replace": [opcode, *after],
            "delete": after,
            "repeat": here + here + after,
            "swap": after[:1] + here + after[1:],
            "cut": [b"."],
        }[edit]
    return edited(b"".join(content), draw(byte_edits))


def unpickled(content):
    try:
        return pickle.loads(content)
    except TypeError as reason:  # True in the place of 1 is read here, and not by NumPy
        if "bool" not in str(reason):
            raise
        return None


# Npz: other headers and names, then other fields of the archive around them.

NAMES = ["W1.npy", "b1.npy", "B1.npy", "W2.npy", "../W1.npy", "W1\n.npy", "W1.NPY", "é.npy", "x"]
DTYPES = ["<f4", ">f8", "<f8", "<f2", "|b1", "<i8", "|O", "<f16", "<c8", "|V4", "<M8[s]", "f4,f4"]
SHAPES = ["(2, 3)", "(3,)", "(1, 1)", "()", "(0, 3)", "(02, 3)", "(-1,)", "(2,3,)", "(3)"]
FIELDS = {b"PK\3\4": 30, b"PK\1\2": 46, b"PK\5\6": 22}

members = st.tuples(
    st.sampled_from(NAMES[:2]) | st.sampled_from(NAMES),
    st.sampled_from(DTYPES[:2]) | st.sampled_from(DTYPES),
    st.sampled_from(["False", "True", "1"]),
    st.sampled_from(SHAPES) | st.builds("({}, {})".format, edges, edges),
    st.sampled_from([12, 24, 48, 4, 0, 4096]),
)
field_edits = mostly(
    [],
    st.lists(
        st.tuples(
            st.sampled_from(list(FIELDS)),
            st.integers(0, 45),
            st.sampled_from("<B <H <L".split()),
            edges | st.integers(0, 50),
        ),
        min_size=1,
        max_size=2,
    ),
)


def npy(dtype, fortran, shape, size):
    text = f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + bytes(range(64)) * 64


GOOD = [("W1.npy", "<f4", "False", "(2, 3)", 24), ("b1.npy", ">f8", "True", "(3,)", 24)]


@st.composite
def archives(draw):
    stream = io.BytesIO()
    method = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    with zipfile.ZipFile(stream, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, *described in draw(mostly(GOOD, st.lists(members, max_size=3))):
            extra = zipfile.ZipInfo(name)
            size = described[-1]
            content = npy(*described)
            extra.extra = draw(mostly(b"", extras))
            archive.writestr(extra, content[: len(content) - 4096 + size], method)
    content = stream.getvalue()
    if draw(mostly(False, st.just(True))):
        at = content.rindex(b"PK\5\6")
        content = content[:at] + directory64(draw(edges), draw(edges), at) + content[at:]
    for signature, offset, form, value in draw(field_edits):
        at = content.find(signature)
        if at >= 0:
            offset %= FIELDS[signature]
            field = struct.pack(form, value % 2 ** (8 * struct.calcsize(form)))
            content = content[: at + offset] + field + content[at + offset + len(field) :]
    return edited(content, draw(byte_edits))


# Sizes of 64 bits: in a member's extra field, and of the whole directory.
extras = st.builds(lambda *numbers: struct.pack("<HHQQ", 1, 16, *numbers), edges, edges)


def directory64(size, offset, at):
    fields = 44, 45, 45, 0, 0, 1, 1, size, offset
    return struct.pack("<4sQ2H2L4Q", b"PK\6\6", *fields) + struct.pack(
        "<4sLQL", b"PK\6\7", 0, at, 1
    )


def loaded(content):
    with np.load(io.BytesIO(content)) as archive:
        return dict(archive)


# Safetensors: other values in the header, other offsets, other sizes.

VALUES = [
    *map(str, EDGES),
    "1" + "0" * 30,
    "-1",
    "1.0",
    "true",
    "null",
    '"F32"',
    '"F64"',
    '"BF16"',
    "[]",
    "{}",
]
VALUES += ["[1]", "[2, 3]", "[3]", "[0, 24]", "[24, 48]", "[20, 44]", "NaN", '"\\ud800"', "[[1]]"]
KEYS = ["dtype", "shape", "data_offsets", "more"]
ENTRIES = {
    "W1": {"dtype": '"F32"', "shape": "[2, 3]", "data_offsets": "[24, 48]"},
    "b1": {"dtype": '"F64"', "shape": "[3]", "data_offsets": "[0, 24]"},
}
values = st.sampled_from(VALUES) | st.builds("[{}, {}]".format, edges, edges)
entry_edits = mostly(
    [],
    st.lists(
        st.tuples(st.sampled_from(["W1", "b1", "W1 "]), st.sampled_from(KEYS), values),
        min_size=1,
        max_size=2,
    ),
)
others = ['"__metadata__": {"a": "b"}', '"W1": {}', '"__metadata__": []', '"x": 1']


@st.composite
def tensors(draw):
    entries = {name: list(entry.items()) for name, entry in ENTRIES.items()}
    for name, key, value in draw(entry_edits):
        found = entries.setdefault(name.strip(), [])
        if name == name.strip():  # else the key is there twice
            found[:] = [pair for pair in found if pair[0] != key]
        found.append((key, value))
    parts = draw(mostly([], st.lists(st.sampled_from(others), min_size=1, max_size=1)))
    for name, entry in entries.items():
        pairs = ", ".join(f"{json.dumps(key)}: {value}" for key, value in entry)
        parts.append(f"{json.dumps(name)}: {{{pairs}}}")
    text = ("{" + ", ".join(parts) + "}").encode()
    length = len(text) + draw(mostly(0, st.sampled_from([1, -1, 8, 2**31, 2**62])))
    body = bytes(range(draw(mostly(48, st.sampled_from([47, 49, 0, 200])))))
    return edited(struct.pack("<Q", length) + text + body, draw(byte_edits))


FORMATS = {
    "pickle": (pickles(), unpickled),
    "npz": (archives(), loaded),
    "safetensors": (tensors(), safetensors.numpy.load),
}


# Whatever happens between these two, but for reading the file, is one thing too many.

events = []
watching = False


def watch(event, arguments):
    if watching and not (event == "open" and arguments[0] == FILE and arguments[1] == "r"):
        events.append((event, arguments))


def watched(reader, *arguments):
    """Return what a reader gives, or None after a refusal in one plain line."""
    global watching
    watching = True
    try:
        return reader(*arguments)
    except (weights.WeightsError, DataError) as reason:
        refusal = str(reason)
    finally:
        watching = False
    assert refusal.startswith(f"{FILE}: "), refusal
    assert refusal.isprintable(), refusal
    return None


def check(content, library):
    """Read a file and return whether that could be done."""
    Path(FILE).write_bytes(content)
    got = watched(weights.read, FILE)
    arrays = watched(read_npz, content, FILE) if content.startswith(b"PK\3\4") else None
    assert not events, events
    if got is None and arrays is None:
        return False
    expected = library(content)
    for name, array in (arrays or {}).items():
        assert array.dtype == expected[name].dtype
        assert array.tobytes("A") == expected[name].tobytes("A")
    transposed = got is not None and "transposed" in got.note
    for name, array in (got.arrays() if got and expected else {}).items():
        other = expected[name if name in expected else name.upper()]
        other = other.T if transposed else other
        assert array.shape == other.shape
        assert np.array_equal(array, other.astype(array.dtype))
    return got is not None


def main(form, examples):
    strategy, library = FORMATS[form]
    outcomes = []

    @given(strategy)
    @settings(
        max_examples=min(BATCH, examples),
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    def attempt(content):
        outcomes.append(check(content, library))

    warnings.simplefilter("error")
    # The book's file says 0 and 1 for False and True, which newer NumPys remark upon.
    warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
    for good in (b"".join(PICKLES[0]), safetensors.numpy.save(ARRAYS)):
        Path(FILE).write_bytes(good)
        weights.read(FILE)
    b"W".decode("cp437")
    # All is imported now.
    sys.addaudithook(watch)
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    while len(outcomes) < examples:
        seed(len(outcomes))(attempt)()
    assert {path.name for path in Path().iterdir()} <= {FILE, ".hypothesis"}
    json.dump({"examples": len(outcomes), "read": sum(outcomes)}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
