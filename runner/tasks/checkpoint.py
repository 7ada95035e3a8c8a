"""What a training needs to go on where it was stopped, bit for bit."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runner.lookup import BadInput
from runner.tasks.records import Records
from runner.tasks.setup import Array, Setup

PLAIN = (bool, int, float, str, type(None))  # what JSON gives back as it was


@dataclass
class Best:
    """The epoch with the lowest validation loss so far, and its parameters."""

    epoch: int = 0
    loss: float = math.inf
    parameters: Array = field(default_factory=lambda: np.empty(0))

    def compare(self, epoch: int, loss: float, parameters: Array) -> None:
        """Take an epoch that is better."""
        if loss < self.loss:
            self.epoch, self.loss, self.parameters = epoch, loss, parameters.copy()


class Checkpoint:
    """The state of a training after an epoch, as arrays that a file can hold.

    Parameters
    ----------
    setup
        Its network and optimizer are saved and restored.
    records
        Their history and timing.
    best
        The epoch to go back to.
    streams
        The random generators, by name.
    """

    def __init__(
        self,
        setup: Setup,
        records: Records,
        best: Best,
        streams: Mapping[str, np.random.Generator],
    ) -> None:
        self.setup, self.records, self.best, self.streams = setup, records, best, streams

    def save(self, epoch: int) -> None:
        """Write the state after an epoch, if the run has a place for it."""
        if self.setup.storage is None:
            return
        arrays = {"parameters": self.setup.network.parameters, "best": self.best.parameters}
        state = {
            "epoch": epoch,
            "best": [self.best.epoch, self.best.loss],
            "optimizer": flat("optimizer", attributes(self.setup.optimizer), arrays),
            "streams": {name: rng.bit_generator.state for name, rng in self.streams.items()},
            "history": self.records.history,
            "timing": self.records.timing,
        }
        self.setup.storage.write(arrays | {"state": np.array(json.dumps(state))})

    def restore(self) -> int:
        """Put back what was saved, if anything was; return the number of epochs that are done."""
        arrays = self.setup.storage.read() if self.setup.storage is not None else None
        if arrays is None:
            return 0
        state = json.loads(str(arrays["state"]))
        self.setup.network.parameters[...] = arrays["parameters"]
        self.best.epoch, self.best.loss = state["best"]
        self.best.parameters = arrays["best"]
        attributes(self.setup.optimizer).update(deep(state["optimizer"], arrays))
        for name, rng in self.streams.items():
            rng.bit_generator.state = state["streams"][name]
        self.records.history += state["history"]
        self.records.timing += state["timing"]
        return int(state["epoch"])


def check_optimizer(setup: Setup) -> None:
    """Refuse an optimizer that has, from the start, what cannot be saved; raise BadInput."""
    try:
        flat("optimizer", attributes(setup.optimizer), {})
    except TypeError as error:
        raise BadInput.because("training.checkpoint_every", error) from error


def attributes(optimizer: object) -> dict[str, Any]:
    """Return the attributes of an optimizer, which are its state; raise TypeError without them."""
    if not hasattr(optimizer, "__dict__"):
        raise TypeError(f"optimizer: expected attributes to save, got {type(optimizer).__name__}")
    return vars(optimizer)


def flat(name: str, value: Any, arrays: dict[str, Array]) -> Any:
    """Return a value as JSON can hold it, its arrays put among ``arrays`` under new names.

    Raises
    ------
    TypeError
        For anything but numbers, text, arrays, and lists, tuples and dictionaries of them.
    """
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, np.generic) or (kind is np.ndarray and not value.dtype.hasobject):
        key = f"optimizer.{len(arrays)}"
        arrays[key] = np.asarray(value)
        return {"array" if kind is np.ndarray else "scalar": key}
    if kind in (list, tuple):
        return {kind.__name__: [flat(f"{name}.{i}", v, arrays) for i, v in enumerate(value)]}
    if kind is dict and all(type(key) in PLAIN for key in value):
        items = value.items()
        return {"dict": [[key, flat(f"{name}.{key}", v, arrays)] for key, v in items]}
    raise TypeError(f"{name}: expected numbers and arrays to save, got {kind.__name__}")


def deep(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Return the value that `flat` made flat."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "scalar":
        return arrays[content][()]
    if kind == "dict":
        return {key: deep(item, arrays) for key, item in content}
    items = [deep(item, arrays) for item in content]
    return tuple(items) if kind == "tuple" else items
