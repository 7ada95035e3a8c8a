"""The parts that a configuration names, each made and tried alone."""

import dataclasses
import functools
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner import weights as weight_files
from runner.config import Config
from runner.data import DATASETS, DataError, Dataset, from_arrays
from runner.data.deskew import deskewed
from runner.data.distortion import DISTORTIONS, Distortion
from runner.lookup import BadInput, call, find, parameters
from runner.nn.activations import ACTIVATIONS, Activation, maxout, pair
from runner.nn.initializers import INITIALIZERS, Initializer
from runner.nn.losses import LOSSES, Loss
from runner.nn.optimizers import OPTIMIZERS, Optimizer
from runner.nn.outputs import OUTPUTS, Output
from runner.nn.regularization import Regularization
from runner.nn.schedules import SCHEDULES, Schedule
from runner.tasks.probe import functions, try_number, try_on_arrays
from runner.weights import PRETRAINED, Weights, WeightsError

Array = NDArray[Any]
# Verified contents, which cannot change in between.
FIXED = ("digits", "fashion_mnist", "mnist", "mnist5k")


def load_dataset(
    config: Config, folders: Sequence[Path], *, download: bool = True
) -> tuple[Dataset, float]:
    """Return the dataset and the seconds it took; the same one is loaded once per process."""
    options = config.dataset
    maker = find("dataset.name", options.name, DATASETS, folders)
    params = dict(options.params)
    if config.data_dir is not None and not Path(config.data_dir).is_dir():
        raise BadInput("data_dir", "a folder", config.data_dir)
    if options.name in DATASETS:
        offered = {
            "data_dir": config.data_dir,
            "path": options.path,
            "download": download,
            "progress": sys.stderr.isatty(),
        }
        for key in {*offered, "mirrors"} & set(params):
            raise BadInput(f"dataset.params.{key}", "a parameter of the choice", key)
        known = parameters(maker)
        params |= {key: value for key, value in offered.items() if key in known}
    load = load_once if options.name in FIXED else _load
    try:
        return load(options.name, maker, _Frozen(params), options.deskew)
    except (BadInput, DataError) as error:
        cause = error if isinstance(error, DataError) else error.__cause__
        if not isinstance(cause, DataError):
            raise
        field = "dataset.path" if options.path else "data_dir" if config.data_dir else "dataset"
        raise BadInput.because(field, cause) from cause


class _Frozen(dict[str, Any]):
    """Parameters as a key of a cache: equal where their text is."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(sorted(self.items())))


def _load(
    name: str, maker: Callable[..., Any], params: dict[str, Any], deskew: bool
) -> tuple[Dataset, float]:
    started = time.perf_counter()
    made = call("dataset.params", maker, params)
    dataset: Dataset = made if name in DATASETS else from_arrays(made, name)
    dataset = deskewed(dataset) if deskew else dataset
    return dataset, time.perf_counter() - started


load_once = functools.lru_cache(maxsize=4)(_load)


def load_weights(config: Config, folders: Sequence[Path]) -> Weights | None:
    """Return the given weights, None where they are to be drawn."""
    node = config.weights
    readers: dict[str, Callable[[], Weights | None]] = {
        "none": lambda: None,
        "inline": lambda: weight_files.from_arrays(node.params, "weights.params"),
        "file": lambda: weight_files.read(str(node.path)),
        "pretrained": lambda: weight_files.read(PRETRAINED),
    }
    reader = find("weights.name", node.name, readers, folders)
    try:
        if node.name in readers:
            return readers[node.name]()
        return weight_files.from_arrays(call("weights.params", reader, node.params), node.name)
    except WeightsError as error:
        field = "weights.path" if node.name == "file" else "weights"
        raise BadInput.because(field, error) from error


def make_output(config: Config, folders: Sequence[Path]) -> Output:
    """Return the output function."""
    node = config.output
    made = call("output.params", find("output.name", node.name, OUTPUTS, folders), node.params)
    output = Output(*functions("output.name", made))
    if node.name not in OUTPUTS:
        a = small(config)
        try_on_arrays("output.name", {"forward": (output.forward, (a,))})
        try_on_arrays("output.name", {"backward": (output.backward, (output.forward(a), a))})
    return output


def make_loss(config: Config, folders: Sequence[Path]) -> Loss:
    """Return the loss function."""
    node = config.loss
    made = call("loss.params", find("loss.name", node.name, LOSSES, folders), node.params)
    if node.name in LOSSES:
        loss: Loss = made
        return loss
    loss = Loss(*functions("loss.name", made))
    y, t = np.full_like(small(config), 0.5), np.ones_like(small(config))
    try_number("loss.name", "value", loss.value, y, t)
    try_on_arrays("loss.name", {"gradient": (loss.gradient, (y, t))})
    return loss


def make_optimizer(config: Config, folders: Sequence[Path]) -> tuple[Optimizer, float]:
    """Return the optimizer and its learning rate."""
    node = config.optimizer
    params = dict(node.params)
    lr = params.pop("lr", None)
    number = isinstance(lr, (int, float)) and not isinstance(lr, bool)
    if not (number and math.isfinite(lr) and lr > 0):
        raise BadInput("optimizer.params.lr", "a number above 0", lr)
    maker = find("optimizer.name", node.name, OPTIMIZERS, folders)
    optimizer: Optimizer = call("optimizer.params", maker, params)
    if not callable(getattr(optimizer, "update", None)):
        expected = "a function that returns something with an update"
        raise BadInput("optimizer.name", expected, type(optimizer).__name__)
    return optimizer, float(lr)


def make_schedule(config: Config, folders: Sequence[Path]) -> Schedule:
    """Return the schedule of the learning rate."""
    maker = find("schedule.name", config.schedule.name, SCHEDULES, folders)
    schedule: Schedule = call("schedule.params", maker, config.schedule.params)
    try_number("schedule.name", "factor", schedule, 0, 10)
    return schedule


def make_distortion(
    config: Config, folders: Sequence[Path], images: Array | None = None
) -> Distortion | None:
    """Return what changes training images, None where nothing does; it is tried on some."""
    node = config.distortion
    maker = find("distortion.name", node.name, DISTORTIONS, folders)
    distortion: Distortion | None = call("distortion.params", maker, node.params)
    if distortion is not None and node.name not in DISTORTIONS:
        images = np.full((2, 28, 28), 255) if images is None else images
        rng = np.random.default_rng(0)
        tried = {"distortion": (lambda x: distortion(x, rng), (images.astype(np.float32),))}
        try_on_arrays("distortion.name", tried)
    return distortion


def make_regularization(config: Config) -> Regularization:
    """Return what a training does besides following the gradient."""
    options = dataclasses.asdict(config.training)
    params = {item.name: options[item.name] for item in dataclasses.fields(Regularization)}
    regularization: Regularization = call("training", Regularization, params)
    return regularization


def hidden_activations(
    config: Config, folders: Sequence[Path], given: Weights | None = None
) -> list[Activation]:
    """Return the activation of each hidden layer, which has to fit the given weights."""
    node = config.activation
    common = make_activation("activation", node.name, node.params, config, folders)
    # One of the name of `activation` has its parameters too, the others their defaults.
    made = [
        common
        if name == node.name
        else make_activation("network.activations", name, {}, config, folders)
        for name in activation_names(config)
    ]
    if given is None or node.params.get("pieces") is not None:
        return made
    # Maxout that is not told how many pieces it has takes what the weights have.
    pairs = zip(made, given.pieces, strict=True)
    return [maxout(pieces) if each.pieces > 1 else each for each, pieces in pairs]


def make_activation(
    field: str, name: str, params: Mapping[str, Any], config: Config, folders: Sequence[Path]
) -> Activation:
    """Return one activation."""
    where = f"{field}.name" if field == "activation" else field
    maker = find(where, name, ACTIVATIONS, folders)
    made = call(f"{field}.params" if params else field, maker, params)
    if name in ACTIVATIONS:
        activation: Activation = made
        return activation
    forward, slope = functions(field, made)
    a = small(config)
    try_on_arrays(field, {"forward": (forward, (a,)), "slope": (slope, (a,))})
    return pair(forward, slope)


def small(config: Config) -> Array:
    """Return a few numbers to try a user's own functions on: (2, 3), of the network's dtype."""
    return np.array([[-1.0, 0.0, 1.0], [0.5, -0.5, 2.0]], config.dtype)


def activation_names(config: Config) -> list[str]:
    """Return the name of the function after each hidden layer."""
    return config.network.activations or [config.activation.name] * len(config.network.hidden)


def make_initializer(config: Config, folders: Sequence[Path]) -> Initializer:
    """Return what draws first weights."""
    maker = find("init.name", config.init.name, INITIALIZERS, folders)
    made = call("init.params", maker, config.init.params)
    if not callable(made):
        raise BadInput("init.name", "a function that returns a function", type(made).__name__)
    initializer: Initializer = made
    if config.init.name not in INITIALIZERS:
        rng, dtype = np.random.default_rng(0), np.dtype(config.dtype)

        def matrix(like: Array) -> Array:
            return initializer(*like.shape, "relu", rng=rng, dtype=dtype)

        try_on_arrays("init.name", {"matrix": (matrix, (small(config),))})
    return initializer
