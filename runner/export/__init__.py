"""Runs and sweeps handed to other tools, read from their folders after the fact.

Nothing else in the program knows of these tools. Each that needs a library has an extra of its
name.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from runner.lookup import BadInput, install

Export = Callable[[Path, Path], str]  # of a run or sweep, into a folder or file; says what it did


class Exporter(NamedTuple):
    """A way out: the ``module:function`` that it is, and the libraries this needs."""

    about: str
    function: str
    libraries: tuple[str, ...]
    out: str

    def load(self, name: str) -> Export:
        """Return the function; raise BadInput where a library is not installed."""
        for library in self.libraries:
            try:
                importlib.import_module(library)
            except ImportError as error:
                where, hint = f"export {name}", install(name)
                raise BadInput(
                    "", f"the library {library}", "none", where=where, hint=hint
                ) from error
        module, _, function = self.function.partition(":")
        export: Export = getattr(importlib.import_module(module), function)
        return export


EXPORTERS = {
    "onnx": Exporter(
        "the network of a run, from raw samples to its outputs",
        "runner.export.onnx:export",
        ("onnx",),
        "model.onnx",
    ),
    "pytorch": Exporter(
        "the weights of a run as the state dict of a torch.nn.Sequential, in safetensors",
        "runner.export.weights:pytorch",
        (),
        "model.safetensors",
    ),
    "sklearn": Exporter(
        "the weights of a run as coefs_ and intercepts_ of an MLPClassifier, in npz",
        "runner.export.weights:sklearn",
        (),
        "model.npz",
    ),
    "npz": Exporter(
        "the weights of a run as W1, b1, W2, ..., in npz",
        "runner.export.weights:npz",
        (),
        "model.npz",
    ),
    "mlflow": Exporter(
        "runs with parameters, metrics, learning curves and files, in a local database",
        "runner.export.mlflow:export",
        ("mlflow", "sqlalchemy", "alembic"),
        "mlflow",
    ),
    "tensorboard": Exporter(
        "learning curves, results, hyperparameters and figures, as event files",
        "runner.export.tensorboard:export",
        ("tensorboard",),
        "tensorboard",
    ),
    "parquet": Exporter(
        "all tables, those of a sweep's jobs in one, with types and explained columns",
        "runner.export.parquet:export",
        ("pyarrow",),
        "parquet",
    ),
}
