"""Safetensors: a JSON header with every array's place, then the bytes."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.weights.parameters import Weights, WeightsError, shown, view

DTYPES = {"F32": "<f4", "F64": "<f8"}
LONGEST_HEADER = 2**20


def read_safetensors(data: bytes, where: str) -> dict[str, NDArray[Any]]:
    """
    View the arrays of a safetensors file (https://github.com/huggingface/safetensors).

    Raises
    ------
    WeightsError
        If the header is damaged, names anything but float32 and float64 arrays, or does
        not account for every byte exactly once.
    """
    length = int.from_bytes(data[:8], "little")
    if length > min(LONGEST_HEADER, len(data) - 8):
        raise _refusal(where, f"a header of {length} bytes")
    header = _parse(data[8 : 8 + length], where)
    _check_metadata(header.pop("__metadata__", {}), where)
    entries = {name: _entry(name, entry, where) for name, entry in header.items()}
    body = memoryview(data)[8 + length :]
    _check_offsets([(start, end) for _, _, start, end in entries.values()], len(body), where)
    return {
        name: view(body[start:end], dtype, shape, False, f"{where}: {shown(name)}")
        for name, (dtype, shape, start, end) in entries.items()
    }


def dumps(weights: Weights, metadata: Mapping[str, str] | None = None) -> bytes:
    """Write weights as the bytes of a safetensors file, the same bytes each time."""
    return dumps_arrays(weights.arrays(), metadata)


def dumps_arrays(named: Mapping[str, NDArray[Any]], metadata: Mapping[str, str] | None) -> bytes:
    """
    Write arrays of any names as the bytes of a safetensors file.

    Written here because the library's own writer puts the metadata into random order.
    Wider numbers come first, as there, so that every array is aligned.
    """
    arrays = sorted(named.items(), key=lambda item: (-item[1].itemsize, item[0]))
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    names = {dtype: name for name, dtype in DTYPES.items()}
    parts, end = [], 0
    for name, array in arrays:
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        start, end = end, end + little.nbytes
        header[name] = {
            "dtype": names[little.dtype.str],
            "shape": list(little.shape),
            "data_offsets": [start, end],
        }
        parts.append(little.tobytes())
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def _parse(text: bytes, where: str) -> dict[str, Any]:
    """Parse the header as JSON: one object, and nowhere a key twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise _refusal(where, f"the key {shown(name)} twice")
            found[name] = value
        return found

    try:
        header = json.loads(str(text, "utf-8"), object_pairs_hook=once)
    except WeightsError:
        raise
    except (ValueError, RecursionError) as cause:
        raise _refusal(where, "a header that is not JSON") from cause
    if not isinstance(header, dict):
        raise _refusal(where, "a header that is no object")
    return header


def _check_metadata(metadata: object, where: str) -> None:
    """Refuse metadata that is not a flat object of strings."""
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _refusal(where, "metadata that is not text")


def _entry(name: str, entry: object, where: str) -> tuple[str, list[object], int, int]:
    """Give one array's dtype, shape, start and end."""
    match entry:
        case {"dtype": dtype, "shape": [*shape], "data_offsets": [start, end], **rest}:
            if not rest and type(start) is type(end) is int and isinstance(dtype, str):
                if dtype in DTYPES:
                    return DTYPES[dtype], shape, start, end
                raise _refusal(where, f"{shown(name)} of dtype {shown(dtype)}, not F32 or F64")
    raise _refusal(where, f"{shown(entry)} as {shown(name)}")


def _check_offsets(places: list[tuple[int, int]], size: int, where: str) -> None:
    """Refuse arrays that overlap, leave a gap, or do not fill the rest of the file."""
    reached = 0
    for start, end in sorted(places):
        if start != reached or end < start:
            raise _refusal(where, f"bytes {shown((start, end))} after byte {shown(reached)}")
        reached = end
    if reached != size:
        raise _refusal(where, f"arrays of {shown(reached)} bytes in {size}")


def _refusal(where: str, what: str) -> WeightsError:
    return WeightsError(f"{where}: expected safetensors, got {what}")
