"""A pickled dict of arrays, as the book ships one, read by a machine that calls nothing."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from numpy.typing import NDArray

from runner.weights.parameters import WeightsError, shown, view

MOST_OPCODES = 100_000
LONGEST_TEXT = 2**26
LONGEST_LINE = 200


class Name(Enum):
    """The five things a pickled array names; tokens, never looked up or called."""

    RECONSTRUCT = "numpy.core.multiarray._reconstruct"
    FROMBUFFER = "numpy.core.numeric._frombuffer"
    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    ENCODE = "_codecs.encode"


NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): Name.FROMBUFFER,
    ("numpy._core.numeric", "_frombuffer"): Name.FROMBUFFER,
    ("numpy", "ndarray"): Name.NDARRAY,
    ("numpy", "dtype"): Name.DTYPE,
    ("_codecs", "encode"): Name.ENCODE,
}


@dataclass(frozen=True)
class Data:
    """The bytes of an array: as they are, or, in protocols 0 to 2, as text for latin1."""

    raw: memoryview | str


@dataclass(eq=False)
class Dtype:
    """A `numpy.dtype` in the making: its kind, then, once, its byte order."""

    kind: str
    order: str | None = None


@dataclass(eq=False)
class Array:
    """A `numpy.ndarray` in the making: empty, then, once, its numbers and its name."""

    numbers: NDArray[Any] | None = None
    name: str | None = None


def read_pickle(data: bytes, where: str) -> dict[str, NDArray[Any]]:
    """
    Read a pickled dict of plain arrays, protocols 0 to 5, without unpickling it.

    Only the opcodes and the handful of names that such a dict needs are understood, and
    the names stand for themselves: nothing is imported or called. What was made is made
    once, so no later opcode can change it through a second reference.

    Raises
    ------
    WeightsError
        If the file holds anything else, naming the opcode or the function.
    """
    return _Machine(data, where, room=len(data)).run()


@dataclass
class _Machine:
    """The stack machine of the pickle format, as far as arrays need it."""

    data: bytes
    where: str
    room: int  # bytes that arrays may still use: a file cannot hold more than its own size
    position: int = 0
    stack: list[Any] = field(default_factory=list)
    below: list[list[Any]] = field(default_factory=list)  # one stack per open MARK
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> dict[str, NDArray[Any]]:
        from pickletools import opcodes

        names = {opcode.code: opcode.name for opcode in opcodes}
        for _ in range(MOST_OPCODES):
            code = chr(self.take(1)[0])
            name = names.get(code, shown(code))
            if name == "STOP":
                return self.finish()
            if name not in OPCODES:
                raise self.refusal(f"opcode {name}")
            OPCODES[name](self)
        raise self.refusal(f"more than {MOST_OPCODES} opcodes")

    def refusal(self, what: str) -> WeightsError:
        return WeightsError(f"{self.where}: expected a pickled dict of plain arrays, got {what}")

    # What follows an opcode in the file.

    def take(self, count: int) -> memoryview:
        start, self.position = self.position, self.position + count
        if self.position > len(self.data):
            raise self.refusal("a file that ends too early")
        return memoryview(self.data)[start : self.position]

    def number(self, width: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(width), "little", signed=signed)

    def line(self, longest: int = LONGEST_LINE) -> memoryview:
        end = self.data.find(b"\n", self.position, self.position + longest + 1)
        if end < 0:
            raise self.refusal(f"a line without an end in {longest} bytes")
        return self.take(end + 1 - self.position)[:-1]

    def decimal(self) -> int:
        line = bytes(self.line())
        if not re.fullmatch(rb"-?[0-9]{1,10}", line):
            raise self.refusal(f"the number {shown(line)}")
        return bool(int(line)) if line in (b"00", b"01") else int(line)

    def text(self, raw: memoryview, encoding: str = "utf-8") -> str:
        if len(raw) > LONGEST_TEXT:
            raise self.refusal(f"a text of {len(raw)} bytes")
        try:
            return str(raw, encoding)
        except UnicodeDecodeError as cause:
            raise self.refusal("a text that is not Unicode") from cause

    # The stack and the memo.

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack:
            raise self.refusal("an opcode without its values")
        return self.stack.pop()

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop_to_mark(self) -> list[Any]:
        if not self.below:
            raise self.refusal("an opcode without its MARK")
        items, self.stack = self.stack, self.below.pop()
        return items

    def put(self, index: int) -> None:
        if index in self.memo or not 0 <= index < MOST_OPCODES:
            raise self.refusal(f"memo entry {index} twice or out of range")
        self.memo[index] = self.pop()
        self.push(self.memo[index])

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise self.refusal(f"no memo entry {index}")
        self.push(self.memo[index])

    # What the opcodes make.

    def protocol(self) -> None:
        version = self.number(1)
        if version > 5:
            raise self.refusal(f"protocol {version}")

    def frame(self) -> None:
        if self.number(8) > len(self.data) - self.position:
            raise self.refusal("a file that ends too early")

    def push_tuple(self, items: list[Any]) -> None:
        inner = [part for item in items if isinstance(item, tuple) for part in item]
        if len(items) > 8 or any(isinstance(part, tuple) for part in inner):
            raise self.refusal("a tuple longer or deeper than those of an array")
        self.push(tuple(items))

    def push_name(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise self.refusal("a call of something without a name")
        if (module, name) not in NAMES:
            full = f"{module}.{name}"
            plain = re.fullmatch(r"[A-Za-z0-9_.]{1,100}", full)
            raise self.refusal(f"a call of {full if plain else shown(full)}")
        self.push(NAMES[module, name])

    def make_dict(self) -> None:
        items = self.pop_to_mark()
        self.push({})
        self.set_items(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.pop()
        if not isinstance(target, dict) or len(items) % 2:
            raise self.refusal("items that belong to no dict")
        for name, value in zip(items[::2], items[1::2], strict=True):
            self.set_item(target, name, value)
        self.push(target)

    def set_item(self, target: dict[str, NDArray[Any]], name: Any, value: Any) -> None:
        if not isinstance(name, str):
            raise self.refusal("a key that is no text")
        if name in target:
            raise self.refusal(f"the key {shown(name)} twice")
        if not isinstance(value, Array) or value.numbers is None:
            raise self.refusal(f"something else than an array as {shown(name)}")
        if value.name is not None:
            raise self.refusal(f"one array as {shown(value.name)} and {shown(name)}")
        value.name = name
        target[name] = value.numbers

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        match function, arguments:
            case Name.DTYPE, (str(kind), 0, 1):
                self.push(Dtype(kind))
            case Name.ENCODE, (str(text), "latin1"):
                self.push(Data(text))
            case Name.RECONSTRUCT, (Name.NDARRAY, (0,), Data(b"b" | "b")):
                self.push(Array())
            case Name.FROMBUFFER, (
                Data() as data,
                Dtype() as dtype,
                tuple(shape),
                "C" | "F" as order,
            ):
                self.push(Array(self.numbers(data, dtype, shape, order == "F")))
            case Name(), _:
                raise self.refusal(f"a call of {function.value} that makes no plain array")
            case _:
                raise self.refusal("a call of something that is no function")

    def build(self) -> None:
        state, target = self.pop(), self.pop()
        match target, state:
            case Dtype(order=None), (3, "<" | ">" | "|" as order, None, None, None, -1, -1, 0):
                target.order = order
            case Array(numbers=None), (
                1,
                tuple(shape),
                Dtype() as dtype,
                0 | 1 as fortran,
                Data() as data,
            ):
                target.numbers = self.numbers(data, dtype, shape, bool(fortran))
            case ((Dtype(order=None) | Array(numbers=None)), _):
                raise self.refusal("a state that is not that of a plain array")
            case ((Dtype() | Array()), _):
                raise self.refusal("a second state for one object")
            case _:
                raise self.refusal("a state for something that is no array")
        self.push(target)

    def numbers(
        self, data: Data, dtype: Dtype, shape: tuple[Any, ...], fortran: bool
    ) -> NDArray[Any]:
        if dtype.order is None:
            raise self.refusal("a dtype without its byte order")
        if not all(type(side) is int for side in shape):
            raise self.refusal("a shape of something else than integers")
        self.room -= len(data.raw)
        if self.room < 0:
            raise self.refusal("arrays that share their bytes")
        try:
            raw = data.raw.encode("latin1") if isinstance(data.raw, str) else data.raw
        except UnicodeEncodeError as cause:
            raise self.refusal("bytes of an array that are not latin1") from cause
        return view(raw, dtype.order + dtype.kind, shape, fortran, self.where)

    def finish(self) -> dict[str, NDArray[Any]]:
        result = self.pop()
        if not isinstance(result, dict):
            raise self.refusal("something else than a dict")
        if self.stack or self.below:
            raise self.refusal("values left over beside the dict")
        if self.position != len(self.data):
            raise self.refusal(f"{len(self.data) - self.position} bytes after its end")
        return result


OPCODES: dict[str, Callable[[_Machine], None]] = {
    "PROTO": _Machine.protocol,
    "FRAME": _Machine.frame,
    "MARK": _Machine.mark,
    "NONE": lambda m: m.push(None),
    "NEWTRUE": lambda m: m.push(True),
    "NEWFALSE": lambda m: m.push(False),
    "INT": lambda m: m.push(m.decimal()),
    "BININT": lambda m: m.push(m.number(4, signed=True)),
    "BININT1": lambda m: m.push(m.number(1)),
    "BININT2": lambda m: m.push(m.number(2)),
    "UNICODE": lambda m: m.push(m.text(m.line(LONGEST_TEXT), "raw-unicode-escape")),
    "BINUNICODE": lambda m: m.push(m.text(m.take(m.number(4)))),
    "BINUNICODE8": lambda m: m.push(m.text(m.take(m.number(8)))),
    "SHORT_BINUNICODE": lambda m: m.push(m.text(m.take(m.number(1)))),
    "BINBYTES": lambda m: m.push(Data(m.take(m.number(4)))),
    "BINBYTES8": lambda m: m.push(Data(m.take(m.number(8)))),
    "SHORT_BINBYTES": lambda m: m.push(Data(m.take(m.number(1)))),
    "BYTEARRAY8": lambda m: m.push(Data(m.take(m.number(8)))),
    "EMPTY_TUPLE": lambda m: m.push(()),
    "TUPLE1": lambda m: m.push_tuple([m.pop()]),
    "TUPLE2": lambda m: m.push_tuple([m.pop(), m.pop()][::-1]),
    "TUPLE3": lambda m: m.push_tuple([m.pop(), m.pop(), m.pop()][::-1]),
    "TUPLE": lambda m: m.push_tuple(m.pop_to_mark()),
    "EMPTY_DICT": lambda m: m.push({}),
    "DICT": _Machine.make_dict,
    "SETITEM": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m: m.set_items(m.pop_to_mark()),
    "PUT": lambda m: m.put(m.decimal()),
    "BINPUT": lambda m: m.put(m.number(1)),
    "LONG_BINPUT": lambda m: m.put(m.number(4)),
    "MEMOIZE": lambda m: m.put(len(m.memo)),
    "GET": lambda m: m.get(m.decimal()),
    "BINGET": lambda m: m.get(m.number(1)),
    "LONG_BINGET": lambda m: m.get(m.number(4)),
    "GLOBAL": lambda m: m.push_name(m.text(m.line()), m.text(m.line())),
    "STACK_GLOBAL": lambda m: m.push_name(*[m.pop(), m.pop()][::-1]),
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
