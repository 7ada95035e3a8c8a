"""Everything a task works on, made from the configuration and checked to fit together."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runner.config import Config
from runner.data import Dataset
from runner.data.dataset import one_hot, one_of_two, samples, transform
from runner.data.distortion import Distortion
from runner.lookup import BadInput
from runner.nn.checks import NeuralNetworkError
from runner.nn.initializers import Initializer
from runner.nn.losses import Head, head
from runner.nn.mlp import MLP
from runner.nn.optimizers import Optimizer
from runner.nn.outputs import OUTPUTS
from runner.nn.regularization import Regularization
from runner.nn.schedules import Schedule
from runner.tasks import parts
from runner.weights import Weights

Array = NDArray[Any]


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
        if self.config.output.name == "pairwise":  # of two classes it has one output as well
            return Split(name, x, t, one_of_two(t, self.classes, dtype))
        if outputs == 1:
            return Split(name, x, t, t.astype(dtype)[:, None])
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
    dataset, load_seconds = parts.load_dataset(config, folders, download=download)
    given = parts.load_weights(config, folders)
    started = time.perf_counter()
    output = parts.make_output(config, folders)
    loss = parts.make_loss(config, folders)
    optimizer, lr = parts.make_optimizer(config, folders)
    schedule = parts.make_schedule(config, folders)
    distortion = parts.make_distortion(
        config, folders, dataset.x[:2] if dataset.x.ndim == 3 else None
    )
    check_output(config, dataset)
    sizes = layer_sizes(config, dataset, given)
    activations = parts.hidden_activations(config, folders, given)
    try:
        network = MLP(sizes, activations, output, np.dtype(config.dtype))
    except MemoryError as error:
        shown = "-".join(map(str, sizes))
        raise BadInput("network.hidden", "a network that fits into memory", shown) from error
    fill(network, config, given, parts.make_initializer(config, folders))
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
        regularization=parts.make_regularization(config),
        load_seconds=load_seconds,
        build_seconds=time.perf_counter() - started,
    )


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


def fill(network: MLP, config: Config, given: Weights | None, initializer: Initializer) -> None:
    """Put the given weights into a network, or draw first ones."""
    if given is not None:
        try:
            network.set_weights(given.W, given.b)
        except NeuralNetworkError as error:  # the activation may ask for more pieces, or for fewer
            raise BadInput.because("weights", error) from error
        return
    names = [*parts.activation_names(config), config.output.name]
    network.initialize(initializer, names, rng=random_streams(config.seed)["init"])
