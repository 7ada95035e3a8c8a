"""Two-input logic gates (the book, chapter 2)."""

import numpy as np

from .dataset import DataError, Dataset, build_dataset

INPUTS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
GATES = {
    "and": (0, 0, 0, 1),
    "nand": (1, 1, 1, 0),
    "or": (0, 1, 1, 1),
    "xor": (0, 1, 1, 0),
}


def gate(name: str) -> Dataset:
    """Return a gate's truth table: x (4, 2) float64 in the order 00, 10, 01, 11, t (4,) uint8.

    Raises
    ------
    DataError
        If there is no such gate.
    """
    if name not in GATES:
        raise DataError(f"gate: expected one of {', '.join(GATES)}, got {name!r}")
    everything = slice(0, 4)
    return build_dataset(
        np.array(INPUTS), np.array(GATES[name], dtype=np.uint8), everything, everything
    )
