"""Which pictures a run has: each of its tables and arrays that can be looked at."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from runner.data.distortion import CHUNK, distorted
from runner.nn.outputs import decide
from runner.report import boundary, curves, figures
from runner.tasks.records import Records
from runner.tasks.setup import Array, Setup, Split

if TYPE_CHECKING:
    import pandas as pd

Pictures = dict[str, bytes]
DRAWING = ("training", "perceptron", "functions", "descent")  # tasks that draw by themselves


def draws(setup: Setup, in_sweep: bool) -> bool:
    """Say whether a run draws its pictures."""
    wanted = setup.config.figures
    return wanted == "all" or (
        wanted == "auto" and setup.config.task.name in DRAWING and not in_sweep
    )


def draw(setup: Setup, records: Records, tables: Mapping[str, "pd.DataFrame"]) -> Pictures:
    """Return the pictures of a run as PNG files, by name."""
    makers: dict[str, Callable[[Setup, Records], Pictures]] = {
        "functions": of_functions,
        "descent": of_a_descent,
    }
    make = makers.get(setup.config.task.name, of_a_network)
    pictures = make(setup, records) if records.arrays else {}
    if "history" in tables:
        pictures["learning_curves"] = figures.learning_curves(tables["history"])
    if "confusion" in tables:
        pictures["confusion"] = figures.confusion(tables["confusion"])
    return pictures


def of_functions(setup: Setup, records: Records) -> Pictures:
    """Return the curve of each function."""
    values = {name: array for name, array in records.arrays.items() if name != "x"}
    return {"functions": curves.functions(records.arrays["x"], values)}


def of_a_descent(setup: Setup, records: Records) -> Pictures:
    """Return the way down, which has two dimensions to be drawn in."""
    arrays = records.arrays
    if "surface" not in arrays:
        return {}
    return {"path": curves.path(arrays["path"], arrays["values"], arrays["surface"])}


def of_a_network(setup: Setup, records: Records) -> Pictures:
    """Return what was seen, decided and learned."""
    if "y" not in records.arrays:
        return {}
    trains = setup.config.task.name != "inference"
    split = setup.split("test" if trains else setup.config.dataset.split)
    pictures = of_samples(setup, split, records)
    if setup.distortion is not None:
        train = setup.split("train")
        first = distorted(train.x[:CHUNK], setup.distortion, setup.config.seed, range(1, 2))
        pictures["distorted"] = curves.images(next(first)[1], train.t, None)
    if setup.config.network.hidden and "z1" in records.trace:
        hidden = [name for name in records.trace if re.fullmatch("z[0-9]+", name)]
        layers = {name: records.trace[name] for name in hidden}
        pictures["activations"] = curves.activations(layers)
    sides = setup.dataset.x.shape[1:]
    if len(sides) == 2 and sides[0] == sides[1]:
        pictures["first_layer"] = curves.first_layer(setup.network.W[0])
    return pictures


def of_samples(setup: Setup, split: Split, records: Records) -> Pictures:
    """Return samples as images, on a plane or along a line, beside what the network says."""
    x, y, predicted = split.x, records.arrays["y"], records.arrays.get("predicted")
    if x.ndim == 3:
        return of_images(x, split.t, predicted)
    inputs = setup.prepare(x)
    if inputs.shape[1] == 2 and split.t is not None and setup.classes is not None:

        def predict(points: Array) -> Array:
            return decide(setup.network.forward(points))

        return {"boundary": boundary.decision_boundary(inputs, split.t, predict)}
    if inputs.shape[1] == 1 and split.t is not None and setup.classes is None:
        return {"fit": curves.fit(inputs, split.t, y)}
    return {}


def of_images(x: Array, t: Array | None, predicted: Array | None) -> Pictures:
    """Return the first images, and the first of those that were misread."""
    pictures = {"images": curves.images(x, t, predicted)}
    if t is not None and predicted is not None:
        wrong = np.flatnonzero(t != predicted)
        if len(wrong):
            pictures["misclassified"] = curves.images(x[wrong], t[wrong], predicted[wrong])
    return pictures
