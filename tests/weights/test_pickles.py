import os
import pickle
import pickletools
import re
import struct
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.weights import WeightsError, from_arrays, read
from runner.weights.pickles import MOST_OPCODES, read_pickle

promise = pytest.mark.promise(
    "A weight file from anywhere runs no code, crashes nothing, takes no undeclared memory"
)

# Opcodes, assembled by hand so that each hostile file is exactly what it is meant to be.


def text(value):
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def stack_name(module, attribute):
    return text(module) + text(attribute) + b"\x93"


def shape(*sides):
    return b"(" + b"".join(b"J" + struct.pack("<i", side) for side in sides) + b"t"


def data(raw):
    return b"B" + struct.pack("<I", len(raw)) + raw


def dtype_state(order="<", rest=b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00"):
    return b"(K\x03" + text(order) + rest + b"tb"


def dtype(kind="f4", state=None):
    made = DTYPE + text(kind) + b"\x89\x88\x87R"
    return made + (dtype_state() if state is None else state)


RECONSTRUCT = name("numpy.core.multiarray", "_reconstruct")
FROMBUFFER = name("numpy.core.numeric", "_frombuffer")
NDARRAY = name("numpy", "ndarray")
DTYPE = name("numpy", "dtype")
EMPTY = RECONSTRUCT + NDARRAY + b"K\x00\x85C\x01b\x87R"


def state(sides=(1,), kind=None, raw=bytes(4)):
    return b"(K\x01" + shape(*sides) + (kind or dtype()) + b"\x89" + data(raw) + b"t"


ARRAY = EMPTY + state() + b"b"
TWO_LINES = b"}" + text("W1") + EMPTY + state((2, 1), dtype("f8"), bytes(16)) + b"bs"


def pickled(*values):
    """A dict with the values as W1, W2, ...."""
    items = b"".join(text(f"W{n}") + value for n, value in enumerate(values, start=1))
    return b"\x80\x03}(" + items + b"u."


def call(function, *arguments):
    return function + b"(" + b"".join(arguments) + b"tR"


class Run:
    """What a hostile file would do: write a file called `ran` in the current folder."""

    source = 'open("ran", "w").close()'

    def __reduce__(self):
        return exec, (self.source,)


RUN = text(Run.source)
NAN = struct.pack("<f", float("nan"))
NESTED = pickle.dumps(Run())
DEEP = b")" + b"\x85" * 3
FORTY = b"C\x28" + bytes(40)


def calls(*functions):
    """Calls of functions that run code, by GLOBAL."""
    for function in functions:
        module, _, attribute = function.rpartition(".")
        yield (
            f"reduce {function}",
            pickled(call(name(module, attribute), RUN)),
            f"a call of {function}",
        )


OTHER_STATE = "a state that is not that of a plain array"
SECOND_STATE = "a second state for one object"
EARLY = "a file that ends too early"
NO_ARRAY = "something else than an array as 'W1'"
BIG_TUPLE = "a tuple longer or deeper than those of an array"
NO_FUNCTION = "a call of something that is no function"
NO_NAME = "a call of something without a name"
ENDLESS = "a line without an end in 200 bytes"
NO_VALUES = "an opcode without its values"
NO_DICT = "items that belong to no dict"
NO_PLAIN = "that makes no plain array"

HOSTILE = [
    # REDUCE
    *calls(
        "os.system",
        "posix.system",
        "nt.system",
        "subprocess.Popen",
        "builtins.exec",
        "builtins.eval",
        "builtins.getattr",
        "builtins.__import__",
        "__builtin__.eval",
        "runpy._run_code",
        "code.InteractiveInterpreter",
        "operator.attrgetter",
        "functools.partial",
        "timeit.timeit",
        "importlib.import_module",
        "ctypes.CDLL",
        "webbrowser.open",
        "shutil.rmtree",
        "numpy.load",
        "numpy.memmap",
        "numpy.testing._private.utils.runstring",
        "numpy.f2py.crackfortran.myeval",
        "numpy.core.multiarray.scalar",
        "numpy.core.multiarray.fromfile",
        "numpy.core.numeric._reconstruct",
        "_codecs.decode",
        "copyreg._reconstructor",
        "collections.OrderedDict",
        "torch._utils._rebuild_tensor_v2",
    ),
    ("reduce protocol 0", pickle.dumps(Run(), 0), "a call of __builtin__.exec"),
    ("reduce protocol 5", pickle.dumps(Run(), 5), "a call of builtins.exec"),
    ("reduce in dict", pickle.dumps({"W1": Run()}), "a call of builtins.exec"),
    ("reduce never called", pickled(name("os", "system")), "a call of os.system"),
    ("reduce dtype twice", pickled(call(dtype(), RUN)), NO_FUNCTION),
    ("reduce text", pickled(call(text("os.system"), RUN)), NO_FUNCTION),
    ("reduce array", pickled(call(ARRAY, RUN)), NO_FUNCTION),
    (
        "reduce ndarray",
        pickled(call(NDARRAY, shape(2**31 - 1))),
        f"a call of numpy.ndarray {NO_PLAIN}",
    ),
    ("reduce dtype alone", pickled(call(DTYPE, text("f4"))), f"a call of numpy.dtype {NO_PLAIN}"),
    (
        "reduce arguments no tuple",
        pickled(DTYPE + text("f4") + b"R"),
        f"a call of numpy.dtype {NO_PLAIN}",
    ),
    (
        "reduce arguments bytes",
        pickled(DTYPE + data(b"f\0\1") + b"R"),
        f"a call of numpy.dtype {NO_PLAIN}",
    ),
    (
        "reduce other codec",
        pickled(call(name("_codecs", "encode"), RUN, text("zip"))),
        f"a call of _codecs.encode {NO_PLAIN}",
    ),
    (
        "reduce other shape",
        pickled(call(RECONSTRUCT, NDARRAY, shape(9), b"C\x01b")),
        f"a call of numpy.core.multiarray._reconstruct {NO_PLAIN}",
    ),
    (
        "reduce other class",
        pickled(call(RECONSTRUCT, DTYPE, shape(0), b"C\x01b")),
        f"a call of numpy.core.multiarray._reconstruct {NO_PLAIN}",
    ),
    (
        "reduce foreign buffer",
        pickled(call(FROMBUFFER, text("W1"), dtype(), shape(1), text("C"))),
        f"a call of numpy.core.numeric._frombuffer {NO_PLAIN}",
    ),
    # INST, OBJ, NEWOBJ
    ("inst", b"(" + b"S'true'\nios\nsystem\n.", "opcode STRING"),
    ("inst bare", b"(ios\nsystem\n.", "opcode INST"),
    ("obj", pickled(b"(" + name("os", "system") + RUN + b"o"), "a call of os.system"),
    ("obj of a known name", pickled(b"(" + DTYPE + RUN + b"o"), "opcode OBJ"),
    ("newobj", pickled(NDARRAY + shape(2**30) + b"\x81"), "opcode NEWOBJ"),
    ("newobj_ex", pickled(NDARRAY + shape(1) + b"}\x92"), "opcode NEWOBJ_EX"),
    # Dotted and otherwise strange names
    (
        "dotted",
        pickled(call(stack_name("numpy", "core.multiarray._reconstruct"), RUN)),
        "a call of numpy.core.multiarray._reconstruct",
    ),
    (
        "dotted through",
        pickled(call(stack_name("numpy.core.multiarray", "_reconstruct.__globals__"), RUN)),
        "a call of numpy.core.multiarray._reconstruct.__globals__",
    ),
    (
        "dotted os",
        pickled(call(stack_name("pathlib", "os.system"), RUN)),
        "a call of pathlib.os.system",
    ),
    (
        "dotted global",
        pickled(call(name("numpy", "f2py.os.system"), RUN)),
        "a call of numpy.f2py.os.system",
    ),
    ("dotted empty", pickled(stack_name("", "")), "a call of ."),
    (
        "name of escape codes",
        pickled(stack_name("os\x1b[2J\n", "sys\ud800")),
        "a text that is not Unicode",
    ),
    (
        "name on two lines",
        pickled(stack_name("os\x1b[2J\nerror", "system")),
        r"a call of 'os\x1b[2J\nerror.system'",
    ),
    (
        "name of many letters",
        pickled(stack_name("o" * 9000, "s")),
        "a call of 'oooooooooooo...ooooooooooo.s'",
    ),
    ("name too long", b"\x80\x03c" + b"o" * 9000 + b"\nsystem\n.", ENDLESS),
    ("name of numbers", pickled(b"K\x01K\x02\x93"), NO_NAME),
    ("name of a name", pickled(DTYPE + text("type") + b"\x93"), NO_NAME),
    # Memo, DUP and aliases
    ("dup", pickled(ARRAY + b"2"), "opcode DUP"),
    ("pop", pickled(ARRAY + b"0"), "opcode POP"),
    ("pop mark", pickled(b"(" + ARRAY + b"1"), "opcode POP_MARK"),
    ("array twice", pickled(ARRAY + b"q\x01", b"h\x01"), "one array as 'W1' and 'W2'"),
    (
        "array changed through the memo",
        pickled(ARRAY + b"q\x01", b"h\x01" + state() + b"b"),
        SECOND_STATE,
    ),
    (
        "dtype changed through the memo",
        pickled(EMPTY + state(kind=dtype() + b"q\x01") + b"b", b"h\x01" + dtype_state(">")),
        SECOND_STATE,
    ),
    (
        "dtype used before its order",
        pickled(EMPTY + state(kind=dtype(state=b"")) + b"b"),
        "a dtype without its byte order",
    ),
    (
        "array in the dict before its state",
        b"\x80\x03}" + text("W1") + EMPTY + b"q\x01sh\x01" + state() + b"b.",
        NO_ARRAY,
    ),
    (
        "bytes shared",
        pickled(
            EMPTY + b"(K\x01" + shape(100) + dtype() + b"q\x02\x89" + data(bytes(400)) + b"q\x01tb",
            *[EMPTY + b"(K\x01" + shape(100) + b"h\x02\x89h\x01tb"] * 20,
        ),
        "arrays that share their bytes",
    ),
    ("memo entry twice", pickled(ARRAY + b"q\x01q\x01"), "memo entry 1 twice or out of range"),
    ("memo entry missing", pickled(b"h\x07"), "no memo entry 7"),
    (
        "memo entry huge",
        pickled(ARRAY + b"r\xff\xff\xff\xff"),
        f"memo entry {2**32 - 1} twice or out of range",
    ),
    ("memo entry negative", pickled(ARRAY + b"p-1\n"), "memo entry -1 twice or out of range"),
    ("dict in itself", b"\x80\x03}q\x00" + text("W1") + b"h\x00s.", NO_ARRAY),
    # Extension codes
    ("ext1", pickled(b"\x82\x01"), "opcode EXT1"),
    ("ext2", pickled(b"\x83\x01\x00"), "opcode EXT2"),
    ("ext4", pickled(b"\x84\x01\x00\x00\x00"), "opcode EXT4"),
    # Persistent ids and buffers out of band
    ("persid", pickled(b"Pos.system\n"), "opcode PERSID"),
    ("binpersid", pickled(RUN + b"Q"), "opcode BINPERSID"),
    ("next buffer", b"\x80\x05}" + text("W1") + b"\x97s.", "opcode NEXT_BUFFER"),
    (
        "readonly buffer",
        b"\x80\x05}" + text("W1") + data(b"") + b"\x98s.",
        "opcode READONLY_BUFFER",
    ),
    # Nested pickles
    (
        "nested loads",
        pickled(call(name("_pickle", "loads"), data(NESTED))),
        "a call of _pickle.loads",
    ),
    (
        "nested pickle.loads",
        pickled(call(name("pickle", "loads"), data(NESTED))),
        "a call of pickle.loads",
    ),
    (
        "nested marshal",
        pickled(call(name("marshal", "loads"), data(NESTED))),
        "a call of marshal.loads",
    ),
    ("nested as value", pickled(data(NESTED)), NO_ARRAY),
    ("nested in object array", pickle.dumps({"W1": np.array([Run()], object)}, 3), OTHER_STATE),
    # BUILD
    ("build function", pickled(DTYPE + b"}b"), "a state for something that is no array"),
    (
        "build dict",
        b"\x80\x03}}" + text("__setstate__") + text("x") + b"sb.",
        "something else than an array as '__setstate__'",
    ),
    ("build tuple", pickled(b")}b"), "a state for something that is no array"),
    (
        "build dtype again",
        pickled(EMPTY + state(kind=dtype() + dtype_state()) + b"b"),
        SECOND_STATE,
    ),
    (
        "build dtype with fields",
        pickled(
            EMPTY
            + state(kind=dtype("V4", dtype_state("|", b"N" + shape(1) + b"}K\x04K\x01K\x10")))
            + b"b"
        ),
        OTHER_STATE,
    ),
    (
        "build dtype with flags",
        pickled(
            EMPTY
            + state(
                kind=dtype("f4", dtype_state("<", b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3f"))
            )
            + b"b"
        ),
        OTHER_STATE,
    ),
    (
        "build dtype with metadata",
        pickled(
            EMPTY
            + state(
                kind=dtype("M8", dtype_state("<", b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00}"))
            )
            + b"b"
        ),
        BIG_TUPLE,
    ),
    (
        "build dtype of objects",
        pickled(EMPTY + state(kind=dtype("O8", dtype_state("|"))) + b"b"),
        "dtype '|O8'",
    ),
    (
        "build dtype of native order",
        pickled(EMPTY + state(kind=dtype("f4", dtype_state("="))) + b"b"),
        OTHER_STATE,
    ),
    ("build array again", pickled(ARRAY + state() + b"b"), SECOND_STATE),
    (
        "build array of a list",
        pickled(EMPTY + b"(K\x01" + shape(1) + dtype("O8", dtype_state("|")) + b"\x89]tb"),
        "opcode EMPTY_LIST",
    ),
    (
        "build array with text",
        pickled(EMPTY + b"(K\x01" + shape(1) + dtype() + b"\x89" + text("abcd") + b"tb"),
        OTHER_STATE,
    ),
    ("build array of slots", pickled(EMPTY + b"N}\x86b"), OTHER_STATE),
    # Sizes
    ("size of bytes", pickled(b"\x8e" + struct.pack("<Q", 2**63)), EARLY),
    ("size of bytearray", pickled(b"\x96" + struct.pack("<Q", 2**40)), EARLY),
    ("size of text", pickled(b"X\xff\xff\xff\xff"), EARLY),
    ("size of long text", pickled(b"\x8d" + b"\xff" * 8), EARLY),
    ("size of frame", b"\x80\x04\x95" + b"\xff" * 8 + b"}.", EARLY),
    ("size of long", pickled(b"\x8b\xff\xff\xff\x7f"), "opcode LONG4"),
    ("size of long1", pickled(b"\x8a\xff"), "opcode LONG1"),
    ("size of digits", pickled(b"L" + b"9" * 5000 + b"L\n"), "opcode LONG"),
    ("size of integer", pickled(b"I" + b"9" * 5000 + b"\n"), ENDLESS),
    (
        "size of smaller integer",
        pickled(b"I" + b"9" * 50 + b"\n"),
        "the number b'99999999999...9999999999999'",
    ),
    (
        "size of shape",
        pickled(EMPTY + state((2**31 - 1, 2**31 - 1)) + b"b"),
        "shape (2147483647, 2147483647)",
    ),
    (
        "size of smaller shape",
        pickled(EMPTY + state((2**30, 2**30)) + b"b"),
        f"{2**62} bytes for shape (1073741824, 1073741824) of <f4, got 4",
    ),
    ("size of negative shape", pickled(EMPTY + state((-1,)) + b"b"), "shape (-1,)"),
    (
        "size of a dict, whose text has two lines",
        pickled(EMPTY + b"(K\x01" + TWO_LINES + b"\x85" + dtype() + b"\x89" + data(b"") + b"tb"),
        "a shape of something else than integers",
    ),
    ("size of empty shape", pickled(EMPTY + state((0,), raw=b"") + b"b"), "shape (0,)"),
    (
        "size of short bytes",
        pickled(EMPTY + state((2,)) + b"b"),
        "8 bytes for shape (2,) of <f4, got 4",
    ),
    (
        "size of long bytes",
        pickled(EMPTY + state((1,), raw=FORTY) + b"b"),
        "4 bytes for shape (1,) of <f4, got 42",
    ),
    (
        "size of buffer",
        pickled(call(FROMBUFFER, data(bytes(4)), dtype(), shape(2), text("C"))),
        "8 bytes for shape (2,) of <f4, got 4",
    ),
    ("many opcodes", b"\x80\x03" + b"N" * MOST_OPCODES + b".", f"more than {MOST_OPCODES} opcodes"),
    ("many marks", b"\x80\x03" + b"(" * MOST_OPCODES + b".", f"more than {MOST_OPCODES} opcodes"),
    # Nesting and hashes
    ("deep tuple", pickled(DEEP), BIG_TUPLE),
    ("wide tuple", pickled(b"(" + b"N" * 9 + b"t"), BIG_TUPLE),
    (
        "doubling tuple",
        pickled(b")q\x01h\x01h\x01\x86q\x02h\x02h\x02\x86q\x03h\x03h\x03\x86"),
        BIG_TUPLE,
    ),
    ("set", pickled(b"\x8f"), "opcode EMPTY_SET"),
    ("frozenset", pickled(b"(\x91"), "opcode FROZENSET"),
    ("list", pickled(b"(l"), "opcode LIST"),
    ("nested lists", pickle.dumps({"W1": [[1.0]]}), "opcode EMPTY_LIST"),
    ("key of a tuple", b"\x80\x03})" + ARRAY + b"s.", "a key that is no text"),
    ("key of a number", b"\x80\x03}K\x01" + ARRAY + b"s.", "a key that is no text"),
    (
        "key of a hash of all",
        pickled(b"}(" + b"J\xff\xff\xff\x7fNK\x00Nu"),
        "a key that is no text",
    ),
    ("key of an array", b"\x80\x03}" + ARRAY + ARRAY + b"s.", "a key that is no text"),
    (
        "key twice",
        b"\x80\x03}(" + text("W1") + ARRAY + text("W1") + ARRAY + b"u.",
        "the key 'W1' twice",
    ),
    ("key without value", b"\x80\x03}(" + text("W1") + b"u.", NO_DICT),
    ("items of no dict", b"\x80\x03N(" + text("W1") + ARRAY + b"u.", NO_DICT),
    # The end
    ("trailing byte", pickled(ARRAY) + b"\n", "1 bytes after its end"),
    ("trailing pickle", pickled(ARRAY) + NESTED, f"{len(NESTED)} bytes after its end"),
    ("trailing values", b"\x80\x03N}.", "values left over beside the dict"),
    ("trailing mark", b"\x80\x03(}.", "values left over beside the dict"),
    ("no end", pickled(ARRAY)[:-1], EARLY),
    ("no value", b"\x80\x03.", NO_VALUES),
    ("no mark", b"\x80\x03t.", "an opcode without its MARK"),
    ("values below a mark", b"\x80\x03}" + text("W1") + b"(" + ARRAY + b"s.", NO_VALUES),
    # Other contents
    ("protocol 6", b"\x80\x06}.", "protocol 6"),
    ("no opcode", b"\x80\x03\xff.", r"opcode 'ÿ'"),
    ("not a dict", b"\x80\x03N.", "something else than a dict"),
    ("an array alone", b"\x80\x03" + ARRAY + b".", "something else than a dict"),
    ("none", pickled(b"N"), NO_ARRAY),
    ("a dict in the dict", pickled(b"}"), NO_ARRAY),
    ("python number", pickled(b"G" + bytes(8)), "opcode BINFLOAT"),
    ("python 2 text", pickled(b"U\x01a"), "opcode SHORT_BINSTRING"),
    (
        "numpy number",
        pickle.dumps({"W1": np.float64(1)}, 3),
        "a call of numpy._core.multiarray.scalar",
    ),
    ("complex", pickle.dumps({"W1": np.ones(1, complex)}, 3), "dtype '<c16'"),
    (
        "structured",
        pickle.dumps({"W1": np.ones(1, "f4,f4")}, 3),
        "something else than an array as 'f0'",
    ),
    ("strings", pickle.dumps({"W1": np.ones(1, "U1")}, 3), OTHER_STATE),
    ("masked", pickle.dumps({"W1": np.ma.ones(1)}, 3), "a call of numpy.ma.core._mareconstruct"),
    ("not utf-8", pickled(b"X\x01\x00\x00\x00\xff"), "a text that is not Unicode"),
    (
        "not latin1",
        pickled(
            EMPTY
            + b"(K\x01"
            + shape(1)
            + dtype()
            + b"\x89"
            + call(name("_codecs", "encode"), text("\u0100abc"), text("latin1"))
            + b"tb"
        ),
        "bytes of an array that are not latin1",
    ),
    (
        "not finite",
        pickled(EMPTY + state((1, 1), raw=NAN) + b"b")[:-2] + text("b1") + EMPTY + state() + b"bu.",
        "nan at [0, 0]",
    ),
    ("no network", pickle.dumps({"gamma": np.ones(1)}, 3), "'gamma'"),
]

if os.name != "nt":
    HOSTILE.append(
        (
            "reduce by the platform's own name",
            pickle.dumps({"W1": os.system}),
            "a call of posix.system",
        )
    )


@promise
@pytest.mark.parametrize(
    ("content", "got"), [pytest.param(*case[1:], id=case[0]) for case in HOSTILE]
)
def test_hostile_pickle_is_refused(content, got):
    with pytest.raises(WeightsError, match=rf"^w\.pkl: .*{re.escape(got)}$") as refusal:
        from_arrays(read_pickle(content, "w.pkl"), "w.pkl")
    message = str(refusal.value)
    assert "\n" not in message
    whole = f"w.pkl: expected a pickled dict of plain arrays, got {got}"
    assert message == whole or "pickled" not in message


@promise
def test_hostile_pickles_run_nothing_in_little_memory(watched_read, record_property):
    files = {
        f"{n:03}.{ending}": case
        for ending in ("pkl", "npz", "npy", "safetensors", "bin", "py")
        for n, case in enumerate(HOSTILE)
    }
    outcomes, events, left = watched_read({name: case[1] for name, case in files.items()})
    assert events == []
    assert left == set()
    assert outcomes.keys() == files.keys()
    for name, (case, _, got) in files.items():
        assert outcomes[name].startswith(("expected ", "W1: expected ")), (case, name)
        assert outcomes[name].endswith(got), (case, name)
    record_property("cases", len(files))


def test_the_watch_would_see_what_runs(tmp_path):
    """The same call as in the table runs when a file is unpickled."""
    (tmp_path / "w.pkl").write_bytes(pickled(call(name("builtins", "exec"), RUN)))
    program = "import pickle, pathlib; pickle.loads(pathlib.Path('w.pkl').read_bytes())"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert (tmp_path / "ran").exists()


def test_the_assembled_array_is_a_good_one():
    """What the hostile files start from is read, so each is refused for its own fault."""
    content = pickled(ARRAY, ARRAY)
    assert {k: v.tolist() for k, v in read_pickle(content, "x").items()} == {"W1": [0], "W2": [0]}
    assert unpickled(content).keys() == {"W1", "W2"}


def unpickled(content):
    with warnings.catch_warnings():
        # The book's file says 0 and 1 for False and True, which newer NumPys remark upon.
        warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
        return pickle.loads(content)


def test_book_weights(book_weights):
    weights = read(book_weights)
    expected = unpickled(book_weights.read_bytes())
    assert weights.sizes == [784, 50, 100, 10]
    assert weights.arrays().keys() == expected.keys()
    for key, array in weights.arrays().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected[key])


ARRAYS = {
    "C": np.arange(6, dtype="<f4").reshape(2, 3),
    "F": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(12.0).reshape(2, 6)[:, ::2],
    "vector": np.arange(3.0),
    "big-endian": np.arange(6, dtype=">f8").reshape(2, 3),
    "half": np.arange(6, dtype="f2"),
    "bytes above 127": np.linspace(-1, 1, 999),
    "many bytes": np.linspace(-1, 1, 99999, dtype="f4"),
    "booleans": np.array([[True, False]]),
    "integers": np.array([[-1, 2**40]]),
    "unsigned": np.array([0, 255], "u1"),
    "newline": np.frombuffer(b"\n\r\\u\x00\x00\x80\xff"),
    "read-only": np.frombuffer(bytes(range(16)), "<i4"),
}


def renamed(content, new, old):
    """Name modules as another NumPy does; since protocol 4 a length stands before each."""
    for module in (b".multiarray", b".numeric"):
        for length in (True, False):
            names = [package + module for package in (new, old)]
            content = content.replace(*[bytes([len(n)]) * length + n for n in names])
    return content


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("sample", ARRAYS)
@pytest.mark.parametrize("pickler", ["C", "Python", "optimized", "numpy 1"])
def test_what_python_pickles_is_read(sample, protocol, pickler):
    arrays = {"W1": ARRAYS[sample], "b1": np.zeros(2)}
    content = (pickle._dumps if pickler == "Python" else pickle.dumps)(arrays, protocol)
    if pickler == "numpy 1":
        content = renamed(content, b"numpy._core", b"numpy.core")
    if pickler in ("optimized", "numpy 1"):
        content = pickletools.optimize(content)
    got = read_pickle(content, "x")
    assert got.keys() == arrays.keys()
    for key, array in arrays.items():
        assert got[key].dtype == array.dtype
        np.testing.assert_array_equal(got[key], array)


def test_long_texts_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr("runner.weights.pickles.LONGEST_TEXT", 99)
    with pytest.raises(WeightsError, match=r"got a text of 100 bytes$"):
        read_pickle(pickled(text("a" * 100)), "x")
    with pytest.raises(WeightsError, match=r"got a line without an end in 99 bytes$"):
        read_pickle(pickled(b"V" + b"a" * 100 + b"\n"), "x")


def test_an_empty_dict_is_a_dict():
    for protocol in range(6):
        assert read_pickle(pickle.dumps({}, protocol), "x") == {}


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x80\x04", b"}(", b"(dp0\n"]))
@settings(max_examples=300, deadline=None, database=None)
def test_random_bytes_are_refused(content, start):
    try:
        assert read_pickle(start + content, "x") == {}
    except WeightsError:
        return


@promise
@pytest.mark.parametrize(
    ("nones", "got"),
    [(99_997, "values left over beside the dict"), (99_998, "more than 100000 opcodes")],
)
def test_as_many_opcodes_as_are_allowed_are_read_and_no_more(nones, got):
    with pytest.raises(WeightsError, match=f"got {got}$"):
        read_pickle(b"\x80\x03" + b"N" * nones + b"}.", "x")


@promise
def test_the_memo_has_as_many_places():
    assert read_pickle(b"}r" + struct.pack("<I", 99_999) + b".", "x") == {}
    with pytest.raises(WeightsError, match=r"got memo entry 100000 twice or out of range$"):
        read_pickle(b"}r" + struct.pack("<I", 100_000) + b".", "x")


@promise
@pytest.mark.parametrize("side", [b"I00\n", b"I01\n", b"\x88"])
def test_true_and_false_are_no_sides_however_they_are_written(side):
    content = EMPTY + b"(K\x01(" + side + b"t" + dtype() + b"\x89" + data(bytes(4)) + b"tb"
    with pytest.raises(WeightsError, match=r"got a shape of something else than integers$"):
        read_pickle(pickled(content), "x")
    assert read_pickle(pickled(content.replace(side, b"I1\n")), "x")["W1"].tolist() == [0]


def test_entries_beyond_the_256th_are_found():
    put, get = (code + struct.pack("<I", 300) for code in (b"r", b"j"))
    content = pickled(EMPTY + state(kind=dtype() + put) + b"b", EMPTY + state(kind=get) + b"b")
    assert unpickled(content).keys() == read_pickle(content, "x").keys() == {"W1", "W2"}
