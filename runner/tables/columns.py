"""Every table a run writes, column by column."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1


class Column(NamedTuple):
    """One column: its name, its type as in JSON Schema, what it says, its unit."""

    name: str
    type: str
    about: str
    unit: str = ""


def _columns(*rows: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(Column(*row) for row in rows)


RESULTS = _columns(
    ("schema_version", "integer", "version of these columns"),
    (
        "run_id",
        "string",
        "hash of configuration, threads, data, weights and code",
    ),
    ("status", "string", "completed, failed, diverged or interrupted"),
    ("task", "string", "what was done"),
    ("dataset", "string", "name of the dataset"),
    ("network", "string", "layer sizes, such as 784-50-100-10"),
    ("activation", "string", "activation of the hidden layers; several are joined by -"),
    ("output", "string", "function of the last layer"),
    ("loss", "string", "what was minimised, and is reported as loss"),
    ("optimizer", "string", "how weights followed gradients; empty where nothing was trained"),
    ("batch_size", "string", "samples per forward pass, as configured"),
    ("seed", "integer", "of every random number of the run"),
    ("n", "integer", "samples measured", "samples"),
    ("correct", "integer", "samples classified correctly", "samples"),
    ("accuracy", "number", "correct / n", "fraction"),
    ("accuracy_low", "number", "lower end of the 95 % Wilson interval", "fraction"),
    ("accuracy_high", "number", "upper end of the 95 % Wilson interval", "fraction"),
    ("test_loss", "number", "mean loss of the samples measured"),
    ("train_accuracy", "number", "accuracy on the training split after the last epoch", "fraction"),
    ("epochs", "integer", "passes over the training samples that were made"),
    ("parameters", "integer", "weights and biases"),
    ("fit_seconds", "number", "training, without evaluation", "s"),
    (
        "inference_seconds",
        "number",
        "median pass over the samples at the last batch size",
        "s",
    ),
    ("images_per_second", "number", "n / inference_seconds", "1/s"),
    ("threads", "integer", "threads of the matrix products"),
    ("started_at", "string", "UTC, ISO 8601"),
    ("duration_seconds", "number", "the run after its checks, up to the tables", "s"),
    ("config_hash", "string", "12 hex digits over the configuration that identifies a run"),
    ("data_hash", "string", "12 hex digits over the samples"),
    ("weights_hash", "string", "12 hex digits over the given weights; empty where none were"),
    ("code_version", "string", "12 hex digits over the source files of this package"),
    ("error", "string", "why the run is not completed"),
    ("converged", "boolean", "perceptron: whether the stopping rule was met"),
    (
        "validation_accuracy",
        "number",
        "accuracy on the validation split with the weights that are kept",
        "fraction",
    ),
)
ACCURACY = _columns(
    ("split", "string", "train, test or all"),
    ("class", "string", "the class, or `all` for the whole split"),
    ("n", "integer", "samples", "samples"),
    ("correct", "integer", "samples classified correctly", "samples"),
    ("accuracy", "number", "correct / n", "fraction"),
    ("accuracy_low", "number", "lower end of the 95 % Wilson interval", "fraction"),
    ("accuracy_high", "number", "upper end of the 95 % Wilson interval", "fraction"),
    ("loss", "number", "mean loss"),
)
TIMING = _columns(
    ("phase", "string", "load (dataset), build (network), inference or epoch"),
    ("batch_size", "integer", "samples per pass", "samples"),
    ("repeat", "integer", "from 1"),
    ("items", "integer", "samples of the pass; parameters for build"),
    ("seconds", "number", "wall clock", "s"),
    ("items_per_second", "number", "items / seconds", "1/s"),
)
SHAPES = _columns(
    ("order", "integer", "from 0, as met in the forward pass"),
    ("name", "string", "x, W1, b1, a1, z1, ..., y, t"),
    ("shape", "string", "such as 100x784"),
    ("dtype", "string", "NumPy's name"),
    ("mean", "number", "of all its numbers"),
    ("std", "number", "standard deviation of all its numbers"),
)
HISTORY = _columns(
    ("epoch", "integer", "from 1"),
    ("train_loss", "number", "mean loss of the training split after the epoch"),
    ("train_accuracy", "number", "of the training split after the epoch", "fraction"),
    ("test_loss", "number", "mean loss of the test split after the epoch"),
    ("test_accuracy", "number", "of the test split after the epoch", "fraction"),
    ("updates", "integer", "steps of the optimizer so far"),
    ("seconds", "number", "the epoch, without evaluation", "s"),
    ("lr", "number", "learning rate of the epoch's last step"),
    ("error", "number", "perceptron: mean error counted during the pass", "fraction"),
    ("validation_loss", "number", "mean loss of the validation samples after the epoch"),
    ("validation_accuracy", "number", "of the validation samples after the epoch", "fraction"),
)
EXPECT = _columns(
    ("name", "string", "what was expected to have a value"),
    ("held", "boolean", "whether it had"),
    ("expected", "string", "the value or the band"),
    ("got", "string", "what was recorded"),
    ("tolerance", "string", "the largest difference allowed; exact for whole numbers and words"),
)
TABLES: dict[str, tuple[Column, ...]] = {
    "results": RESULTS,
    "accuracy": ACCURACY,
    "timing": TIMING,
    "shapes": SHAPES,
    "history": HISTORY,
    "expect": EXPECT,
}


def written(value: Any) -> str:
    """Return a configured value as the cell of a swept key has it: text as it is, ``[3,4]``."""
    if isinstance(value, dict):
        items = (f"{key}:{written(item)}" for key, item in value.items())
        return f"{{{','.join(items)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    return "null" if value is None else str(value)


class Rows(NamedTuple):
    """A table before it is a file or a data frame: the names of its columns, and its rows."""

    names: list[Any]
    rows: list[dict[Any, Any]]

    def frame(self) -> "pd.DataFrame":
        """Return the data frame; what a row lacks is empty."""
        import pandas as pd

        # Objects, so that a missing integer does not turn the others into floats.
        return pd.DataFrame(self.rows, columns=self.names, dtype=object)


def table(name: str, rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Return a table's rows with its columns in their order.

    Raises
    ------
    KeyError
        When a row has a column that the table does not.
    """
    made = [dict(row) for row in rows]
    names = [column.name for column in TABLES[name]]
    unknown = {key for row in made for key in row} - set(names)
    if unknown:
        raise KeyError(f"{name} has no column {sorted(unknown)}")
    return Rows(names, made)


def frame(name: str, rows: Iterable[Mapping[str, Any]]) -> "pd.DataFrame":
    """Return a table as a data frame; raises like `table`."""
    return table(name, rows).frame()


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of each table's rows."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "runner result tables",
        "version": SCHEMA_VERSION,
        "$defs": {f"{name}.csv": _row_schema(columns) for name, columns in TABLES.items()},
    }


def _row_schema(columns: tuple[Column, ...]) -> dict[str, Any]:
    properties = {
        column.name: {
            "type": [column.type, "null"],
            "description": column.about + (f" [{column.unit}]" if column.unit else ""),
        }
        for column in columns
    }
    return {"type": "object", "properties": properties, "required": list(properties)}
