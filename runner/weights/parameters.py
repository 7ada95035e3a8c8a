"""The parameters of a network, W1, b1, W2, b2, ..., and the checks that make them usable."""

import hashlib
import math
import re
import reprlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]

# Neither a file nor the arrays it unfolds to may be larger, in bytes.
LIMIT = 2**30

NAME = re.compile("[WbB][1-9][0-9]{0,3}")
WIDE = ("i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8")
PLAIN = frozenset(["|b1", "|i1", "|u1", *("<" + k for k in WIDE), *(">" + k for k in WIDE)])


class WeightsError(ValueError):
    """Weights, or a file of them, that cannot be used."""


@dataclass(frozen=True, eq=False)
class Weights:
    """
    The parameters of a network of fully connected layers.

    A neuron of a hidden layer may have several columns, the pieces of maxout: each of these
    layers then has as many more columns than the next one has rows.

    Parameters
    ----------
    W : tuple of arrays
        One matrix of floating-point numbers per layer, `(inputs, columns)`.
    b : tuple of arrays
        One bias vector per layer, `(columns,)`.
    note : str
        How they were read, where the file has the names or the layout of another program.
    """

    W: tuple[Floats, ...]
    b: tuple[Floats, ...]
    note: str = ""

    @property
    def sizes(self) -> list[int]:
        """Give the number of inputs, then the number of neurons of each layer."""
        return [*(W.shape[0] for W in self.W), self.W[-1].shape[1]]

    @property
    def pieces(self) -> list[int]:
        """Give the number of columns of each neuron, by hidden layer."""
        return [W.shape[1] // after.shape[0] for W, after in pairwise(self.W)]

    @property
    def digest(self) -> str:
        """Give the SHA-256 over names, dtypes, shapes and little-endian bytes, in hex."""
        total = hashlib.sha256()
        for name, array in self.arrays().items():
            little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            total.update(f"{name} {little.dtype.str} {little.shape}\n".encode())
            total.update(little.data)
        return total.hexdigest()

    def arrays(self) -> dict[str, Floats]:
        """Give the arrays by name, in the order W1, b1, W2, b2, ... ."""
        named: dict[str, Floats] = {}
        for n, (W, b) in enumerate(zip(self.W, self.b, strict=True), start=1):
            named |= {f"W{n}": W, f"b{n}": b}
        return named


def from_arrays(arrays: Mapping[str, ArrayLike], where: str) -> Weights:
    """
    Check arrays and copy them into the parameters of a network.

    Parameters
    ----------
    arrays : mapping of names to arrays or nested lists
        `W1..Wn`, each `(inputs, outputs)`, with `b1..bn` or `B1..Bn`, each `(outputs,)`.
        float32 and float64 stay as they are, other real numbers become float64.
    where : str
        What a message begins with: the file, or the key of the configuration.

    Raises
    ------
    WeightsError
        If a name is missing or unknown, or an array does not hold finite real numbers, has
        the wrong number of dimensions, or does not fit the layer before it.
    """
    pairs = _pairs(arrays, where)
    given = {name: _numbers(arrays[name], f"{where}: {name}") for pair in pairs for name in pair}
    _check_shapes(pairs, given, where)
    _check_total(given.values(), where)
    owned = {name: _owned(array, f"{where}: {name}") for name, array in given.items()}
    return Weights(tuple(owned[W] for W, _ in pairs), tuple(owned[b] for _, b in pairs))


def view(
    data: bytes | memoryview, dtype: str, shape: Iterable[object], fortran: bool, where: str
) -> NDArray[Any]:
    """
    See bytes of a file as the array that the file says they are, without a copy.

    Parameters
    ----------
    data : bytes or memoryview
        Exactly the numbers of the array.
    dtype : str
        Byte order and kind, as in `<f4`.
    shape : iterable
        Whatever the file gives as the sides.
    fortran : bool
        Whether the first index runs fastest.
    where : str
        What a message begins with.

    Raises
    ------
    WeightsError
        If these are not plain numbers, or not as many bytes as the shape needs.
    """
    if dtype not in PLAIN:
        raise WeightsError(f"{where}: expected an array of real numbers, got dtype {shown(dtype)}")
    shape = tuple(shape)
    sides = [n for n in shape if type(n) is int and 0 < n <= LIMIT]
    if sides != list(shape) or len(sides) > 2:
        raise WeightsError(f"{where}: expected a matrix or a vector, got shape {shown(shape)}")
    size = math.prod(sides) * np.dtype(dtype).itemsize
    if len(data) != size:
        raise WeightsError(
            f"{where}: expected {size} bytes for shape {shape} of {dtype}, got {len(data)}"
        )
    return np.frombuffer(data, dtype).reshape(sides, order="F" if fortran else "C")


def shown(value: object) -> str:
    """Shorten what a stranger wrote to something short and inert enough for a message."""
    return reprlib.repr(value)


def _pairs(names: Collection[str], where: str) -> list[tuple[str, str]]:
    """Pair the names of each layer's matrix and bias, as they are written."""
    expected = f"{where}: expected W1..Wn with b1..bn or B1..Bn, got"
    unknown = [name for name in names if not (isinstance(name, str) and NAME.fullmatch(name))]
    if unknown:
        raise WeightsError(f"{expected} {_listed(map(shown, unknown))}")
    if not names:
        raise WeightsError(f"{expected} no arrays")
    biases = [name for name in names if name[0] != "W"]
    if len({name[0] for name in biases}) > 1:
        raise WeightsError(f"{expected} {_listed(biases)}")
    letter = biases[0][0] if biases else "b"
    depth = max(int(name[1:]) for name in names)
    pairs = [(f"W{n}", f"{letter}{n}") for n in range(1, depth + 1)]
    missing = [name for pair in pairs for name in pair if name not in names]
    if missing:
        raise WeightsError(f"{expected} no {_listed(missing)}")
    return pairs


def _listed(names: Iterable[str]) -> str:
    """List a handful of names, however many there are."""
    first = list(islice(names, 6))
    return ", ".join(first[:5]) + (", ..." if len(first) > 5 else "")


def _numbers(value: ArrayLike, where: str) -> NDArray[Any]:
    """See a value as an array of real numbers, of any precision."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError) as cause:
        raise WeightsError(f"{where}: expected rows of equal length, got ragged ones") from cause
    if array.dtype.kind not in "fiub":
        raise WeightsError(f"{where}: expected real numbers, got dtype {shown(str(array.dtype))}")
    return array


def _check_shapes(
    pairs: list[tuple[str, str]], arrays: Mapping[str, NDArray[Any]], where: str
) -> None:
    """Refuse a layer that does not fit its bias or the layer before it."""
    before, width = "", 0
    for W, b in pairs:
        for name, sides, form in ((W, 2, "(inputs, outputs)"), (b, 1, "(outputs,)")):
            shape = arrays[name].shape
            if len(shape) != sides or 0 in shape:
                raise WeightsError(f"{where}: {name}: expected shape {form}, got {shape}")
        rows, columns, biases = *arrays[W].shape, arrays[b].size
        if before and width % rows:
            what = f"{width} rows, the columns of {before}"
            raise WeightsError(f"{where}: {W}: expected {what}, got {rows}")
        if biases != columns:
            what = f"{columns} numbers, the columns of {W}"
            raise WeightsError(f"{where}: {b}: expected {what}, got {biases}")
        before, width = W, columns


def _check_total(arrays: Iterable[NDArray[Any]], where: str) -> None:
    """Refuse more than `LIMIT` before any of it is copied: bytes of booleans grow eightfold."""
    total = sum(array.size * _float(array.dtype).itemsize for array in arrays)
    if total > LIMIT:
        raise WeightsError(
            f"{where}: expected at most {LIMIT} bytes of floating-point numbers, got {total}"
        )


def _float(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Choose the dtype to compute with: float32 where it is that already, else float64."""
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize == 4 else np.float64)


def _owned(array: NDArray[Any], where: str) -> Floats:
    """Copy into contiguous memory of its own, in the machine's byte order, all finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        copy: Floats = np.array(array, _float(array.dtype), order="C", copy=True)
    finite = np.isfinite(copy)
    if not finite.all():
        index = np.unravel_index(finite.argmin(), finite.shape)
        place = [int(i) for i in index]
        raise WeightsError(f"{where}: expected finite numbers, got {copy[index]} at {place}")
    return copy
