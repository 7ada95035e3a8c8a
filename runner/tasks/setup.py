"""Everything a task works on, made from the configuration and checked to fit together."""

import dataclasses
import functools
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runner import weights as weight_files
from runner.config import Config
from runner.data import DATASETS, DataError, Dataset, from_arrays
from runner.data.dataset import one_hot, one_of_two, samples, transform
from runner.data.deskew import deskewed
from runner.data.distortion import DISTORTIONS, Distortion
from runner.lookup import BadInput, call, find, parameters
from runner.nn.activations import ACTIVATIONS, Activation, maxout, pair
from runner.nn.checks import NeuralNetworkError
from runner.nn.initializers import INITIALIZERS, Initializer
from runner.nn.losses import LOSSES, Head, Loss, head
from runner.nn.mlp import MLP
from runner.nn.optimizers import OPTIMIZERS, Optimizer
from runner.nn.outputs import OUTPUTS, Output
from runner.nn.regularization import Regularization
from runner.nn.schedules import SCHEDULES, Schedule
from runner.tasks.probe import functions, try_number, try_on_arrays
from runner.weights import PRETRAINED, Weights, WeightsError

Array = NDArray[Any]
# Verified contents, which cannot change in between.
FIXED = ("digits", "fashion_mnist", "mnist", "mnist5k")


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of a split.

    Attributes
    ----------
    x : (N, ...), raw; `Setup.prepare` turns a batch of them into network inputs.
    t : (N,) labels, (N, outputs) targets, or None where nothing is known.
    targets : (N, outputs) floats that the loss compares with, or None.
    """

    name: str
    x: Array
    t: Array | None
    targets: Array | None


class Storage(Protocol):
    """Where a training keeps what it can go on from."""

    def read(self) -> dict[str, Array] | None:
        """Return what was written last, None where there is nothing."""
        ...

    def write(self, arrays: Mapping[str, Array]) -> None:
        """Keep arrays in place of those before."""
        ...


@dataclass(eq=False)
class Setup:
    """A dataset, a network and what lies between them, ready for a task."""

    config: Config
    dataset: Dataset
    weights: Weights | None
    network: MLP
    head: Head
    optimizer: Optimizer
    lr: float
    schedule: Schedule
    distortion: Distortion | None
    regularization: Regularization
    load_seconds: float
    build_seconds: float
    storage: Storage | None = None

    @property
    def classes(self) -> int | None:
        """Number of classes; None for a regression and for samples without labels."""
        return self.dataset.classes

    @property
    def streams(self) -> dict[str, np.random.Generator]:
        """Independent random streams, so that one more draw in one changes no other."""
        return random_streams(self.config.seed)

    def samples(self, name: str) -> tuple[Array, Array | None]:
        """Return raw samples and labels of a split, limited as configured.

        The validation split is the end of the train split, which is without it then.
        """
        name = self.dataset.held_out if name == "auto" else name
        inside = "train" if name == "validation" else name
        x, t = samples(self.dataset, inside, self.config.dataset.limit)
        held = len(x) - self.config.training.validation
        parts = {"train": slice(0, held), "validation": slice(held, None)}
        chosen = parts.get(name, slice(None))
        return x[chosen], None if t is None else t[chosen]

    def split(self, name: str) -> Split:
        """Return the samples of a split with what the loss compares with."""
        name = self.dataset.held_out if name == "auto" else name
        x, t = self.samples(name)
        dtype, outputs = self.network.dtype, self.network.sizes[-1]
        if t is None:
            return Split(name, x, None, None)
        if self.classes is None:
            return Split(name, x, t, t.astype(dtype))
        if outputs == 1:
            return Split(name, x, t, t.astype(dtype)[:, None])
        if self.config.output.name == "pairwise":
            return Split(name, x, t, one_of_two(t, self.classes, dtype))
        return Split(name, x, t, one_hot(t, outputs, dtype))

    @property
    def scale(self) -> float:
        """Factor that makes network inputs of raw numbers."""
        return 1 / self.dataset.maximum if self.config.dataset.normalize else 1.0

    def matrix(self, x: Array) -> Array:
        """Return raw samples as (N, inputs)."""
        return x.reshape(len(x), -1)

    def prepare(self, x: Array) -> Array:
        """Return network inputs (batch, inputs), of the network's dtype, for raw samples."""
        seen = self.seen(x)
        return seen.reshape(len(seen), -1).astype(self.network.dtype, copy=False)

    def seen(self, x: Array) -> Array:
        """Return raw samples normalized and flattened as configured."""
        options = self.config.dataset
        return transform(
            x,
            maximum=self.dataset.maximum,
            normalize=options.normalize,
            flatten=options.flatten,
            dtype=self.network.dtype,
        )


def random_streams(seed: int) -> dict[str, np.random.Generator]:
    """Return a generator for each use of chance, spawned from one seed."""
    names = ("init", "shuffle", "dropout")
    children = np.random.SeedSequence(seed).spawn(len(names))
    return {name: np.random.default_rng(child) for name, child in zip(names, children, strict=True)}


def build(config: Config, folders: Sequence[Path] = (), *, download: bool = True) -> Setup:
    """Load the dataset and the weights, and make the network that fits both.

    Parameters
    ----------
    config : a validated configuration.
    folders : where a user's own modules are looked for first.
    download : whether absent data may be fetched.

    Raises
    ------
    BadInput
        When something does not exist, cannot be read, or does not fit.
    """
    dataset, load_seconds = load_dataset(config, folders, download=download)
    given = load_weights(config, folders)
    started = time.perf_counter()
    output = make_output(config, folders)
    loss = make_loss(config, folders)
    optimizer, lr = make_optimizer(config, folders)
    schedule = make_schedule(config, folders)
    distortion = make_distortion(config, folders, dataset.x[:2] if dataset.x.ndim == 3 else None)
    check_output(config, dataset)
    sizes = layer_sizes(config, dataset, given)
    activations = hidden_activations(config, folders, given)
    try:
        network = MLP(sizes, activations, output, np.dtype(config.dtype))
    except MemoryError as error:
        shown = "-".join(map(str, sizes))
        raise BadInput("network.hidden", "a network that fits into memory", shown) from error
    fill(network, config, given, make_initializer(config, folders))
    return Setup(
        config=config,
        dataset=dataset,
        weights=given,
        network=network,
        head=head(loss, output, config.output.name),
        optimizer=optimizer,
        lr=lr,
        schedule=schedule,
        distortion=distortion,
        regularization=make_regularization(config),
        load_seconds=load_seconds,
        build_seconds=time.perf_counter() - started,
    )


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


def check_output(config: Config, dataset: Dataset) -> None:
    """Check that output function, loss and distortion suit the dataset (book 3.5).

    Regression takes the identity and a squared error. Classes take any output;
    learning them needs one with a slope, and cross-entropy needs probabilities.
    """
    name, loss = config.output.name, config.loss.name
    if config.distortion.name != "none":
        if config.task.name != "training":
            raise BadInput("distortion", "none unless task=training", config.distortion.name)
        if dataset.x.ndim != 3 or dataset.x.dtype != np.uint8:
            got = f"samples of {dataset.x.dtype} {dataset.x.shape[1:]}"
            raise BadInput("distortion", "none, or images (height, width) of bytes", got)
    if config.task.name == "perceptron" and dataset.classes is None:
        got = "samples without labels" if dataset.t is None else "real-numbered targets"
        raise BadInput("dataset", "classes to tell apart", got)
    if config.task.name == "perceptron" and name == "pairwise":
        raise BadInput("output", "step (a perceptron has an output for each class)", name)
    if dataset.t is not None and dataset.classes is None:
        if name in OUTPUTS and name != "identity":
            raise BadInput("output", "identity (the targets are real numbers)", name)
        if loss == "cross_entropy":
            raise BadInput("loss", "sum_squares (the targets are real numbers)", loss)
    if config.task.name == "training":
        if dataset.t is None:
            raise BadInput("dataset", "samples with labels or targets to learn", "none")
        if name == "step":
            raise BadInput("output", "softmax, sigmoid or identity (step has no slope)", name)
        if name == "identity" and loss == "cross_entropy":
            raise BadInput("output", "softmax (cross_entropy learns probabilities)", name)
        if name == "pairwise" and loss != "cross_entropy":
            raise BadInput("loss", "cross_entropy (output=pairwise is learned with it)", loss)


def layer_sizes(config: Config, dataset: Dataset, given: Weights | None) -> list[int]:
    """Return inputs, hidden units and outputs; what the weights say must be the same."""
    inputs = math.prod(dataset.x.shape[1:])
    hidden = config.network.hidden
    if given is None:
        return [inputs, *hidden, output_sizes(config, dataset)[0]]
    if given.sizes[1:-1] != hidden:
        raise BadInput("network.hidden", f"{given.sizes[1:-1]} (the weights' shapes)", hidden)
    if given.sizes[0] != inputs:
        expected = f"samples of {given.sizes[0]} numbers (the weights' inputs)"
        raise BadInput("dataset", expected, inputs)
    if dataset.t is not None and given.sizes[-1] not in output_sizes(config, dataset):
        wanted = " or ".join(str(n) for n in output_sizes(config, dataset))
        what = "targets" if dataset.classes is None else "classes"
        expected = f"{wanted} output neurons (the dataset's {what}, output={config.output.name})"
        raise BadInput("weights", expected, given.sizes[-1])
    return given.sizes


def output_sizes(config: Config, dataset: Dataset) -> list[int]:
    """Return the numbers of output neurons that fit, the one to use first."""
    if dataset.t is None:
        expected = "given weights (samples without labels do not say how many outputs)"
        raise BadInput("weights", expected, config.weights.name)
    if dataset.classes is None:
        return [dataset.t.shape[1]]
    if config.output.name == "pairwise":
        return [dataset.classes * (dataset.classes - 1) // 2]
    # Two classes can share one neuron, unless outputs are compared with each other.
    if dataset.classes == 2 and config.output.name not in ("softmax", "identity"):
        return [1, 2]
    return [dataset.classes]


def make_initializer(config: Config, folders: Sequence[Path]) -> Initializer:
    """Return what draws first weights."""
    maker = find("init.name", config.init.name, INITIALIZERS, folders)
    made = call("init.params", maker, config.init.params)
    if not callable(made):
        raise BadInput("init.name", "a function that returns a function", type(made).__name__)
    initializer: Initializer = made
    if config.init.name not in INITIALIZERS:
        rng, dtype = np.random.default_rng(0), np.dtype(config.dtype)
        draw = functools.partial(initializer, activation_name="relu", rng=rng, dtype=dtype)
        try_on_arrays("init.name", {"matrix": (lambda W: draw(*W.shape), (small(config),))})
    return initializer


def fill(network: MLP, config: Config, given: Weights | None, initializer: Initializer) -> None:
    """Put the given weights into a network, or draw first ones."""
    if given is not None:
        try:
            network.set_weights(given.W, given.b)
        except NeuralNetworkError as error:  # the activation may ask for more pieces, or for fewer
            raise BadInput.because("weights", error) from error
        return
    names = [*activation_names(config), config.output.name]
    network.initialize(initializer, names, rng=random_streams(config.seed)["init"])
