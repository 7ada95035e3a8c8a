"""Runs and sweeps handed to other tools, read from their folders after the fact.

Nothing else in the program knows of these tools. Each has an extra of its name.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from runner.lookup import BadInput

Export = Callable[[Path, Path], str]  # of a run or sweep, into a folder; says what was done


class Exporter(NamedTuple):
    """A way out: the module that has its ``export``, and the libraries this needs."""

    about: str
    module: str
    libraries: tuple[str, ...]
    out: str

    def load(self, name: str) -> Export:
        """Return the function; raise BadInput where a library is not installed."""
        for library in self.libraries:
            try:
                importlib.import_module(library)
            except ImportError as error:
                where, hint = f"export {name}", f"pip install 'runner[{name}]'"
                raise BadInput(
                    "", f"the library {library}", "none", where=where, hint=hint
                ) from error
        export: Export = importlib.import_module(self.module).export
        return export


EXPORTERS = {
    "mlflow": Exporter(
        "runs with parameters, metrics, learning curves and files, in a local database",
        "runner.export.mlflow",
        ("mlflow", "sqlalchemy", "alembic"),
        "mlflow",
    ),
    "tensorboard": Exporter(
        "learning curves, results, hyperparameters and figures, as event files",
        "runner.export.tensorboard",
        ("tensorboard",),
        "tensorboard",
    ),
    "parquet": Exporter(
        "all tables, those of a sweep's jobs in one, with types and explained columns",
        "runner.export.parquet",
        ("pyarrow",),
        "parquet",
    ),
}
