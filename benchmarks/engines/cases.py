"""What is measured: the cases, who takes part in each, and the data and first weights of all."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.data import DATASETS
from runner.weights import PRETRAINED, read

Array = NDArray[Any]
# Peers by name; the least ratio, peer's time ÷ ours, that is aimed at on one and on two threads.
Peers = Mapping[str, tuple[float, float] | None]

BATCH = 100
SEED = 0
LR = {"sgd": 0.1, "adam": 1e-3}
BETA1, BETA2, EPS = 0.9, 0.999, 1e-7  # Adam's, the same for all


@dataclass(frozen=True)
class Training:
    """Epochs over MNIST with ReLU, softmax and cross-entropy; one more comes first, to warm up."""

    title: str
    sizes: tuple[int, ...]
    optimizer: str
    epochs: int
    peers: Peers
    unit = "epoch"

    @property
    def lr(self) -> float:
        """The learning rate."""
        return LR[self.optimizer]

    def first_weights(self) -> list[tuple[Array, Array]]:
        """Return W, (fan_in, fan_out), and b of each layer: He's, from one seed."""
        rng = np.random.default_rng(SEED)
        return [
            (rng.normal(0, np.sqrt(2 / i), (i, o)).astype(np.float32), np.zeros(o, np.float32))
            for i, o in pairwise(self.sizes)
        ]


@dataclass(frozen=True)
class Perceptrons:
    """Ten perceptrons, each for one digit against the rest, on raw pixels in float64."""

    title: str
    passes: int
    peers: Peers
    unit = "pass"

    @staticmethod
    def first_weights() -> Array:
        """Return (1 + inputs, outputs), biases first.

        Pixels are whole numbers. With biases of one half no score is ever 0,
        the one case in which the rules of the engines differ.
        """
        w = np.zeros((785, 10))
        w[0] = 0.5
        return w


@dataclass(frozen=True)
class Inference:
    """The pretrained 784-50-100-10 from test images to labels, batch by batch."""

    title: str
    batch: int
    images: int
    peers: Peers
    unit = "batch"

    @staticmethod
    def weights() -> list[tuple[Array, Array]]:
        """Return W, (fan_in, fan_out), and b of each layer."""
        given = read(PRETRAINED)
        return list(zip(given.W, given.b, strict=True))

    def batches(self, data: "Data") -> list[Array]:
        """Return the test images (batch, 784) of each batch."""
        return [data.x_test[i : i + self.batch] for i in range(0, self.images, self.batch)]


Case = Training | Perceptrons | Inference
SMALL, WIDE, DEEP = (784, 50, 100, 10), (784, 800, 10), (784, 500, 300, 10)
CASES: dict[str, Case] = {
    "small-sgd": Training(
        "784-50-100-10 SGD",
        SMALL,
        "sgd",
        epochs=2,
        peers={
            "pytorch": (2.5, 2.2),
            "pytorch_fused": None,
            "jax_scan": (1.2, 1.0),
            "scikit_learn": (2.5, 2.2),
            "textbook": (4, 4),
            "book": (4, 4),
            "products": None,
        },
    ),
    "small-adam": Training(
        "784-50-100-10 Adam",
        SMALL,
        "adam",
        epochs=2,
        peers={
            "pytorch": (2.5, 2.2),
            "pytorch_fused": (2.0, 1.8),
            "jax_scan": (1.1, 1.0),
            "scikit_learn": None,
            "textbook": None,
            "book": None,
        },
    ),
    "wide-sgd": Training(
        "784-800-10 SGD",
        WIDE,
        "sgd",
        epochs=1,
        peers={
            "pytorch": (1.25, 1.2),
            "pytorch_fused": None,
            "jax_scan": (1.0, 1.0),
            "scikit_learn": None,
            "textbook": None,
            "products": (0.85, 0.85),
        },
    ),
    "wide-adam": Training(
        "784-800-10 Adam",
        WIDE,
        "adam",
        epochs=1,
        peers={"pytorch": (1.6, 1.5), "pytorch_fused": (1.0, 1.0), "jax_scan": (0.95, 0.9)},
    ),
    "deep-sgd": Training(
        "784-500-300-10 SGD",
        DEEP,
        "sgd",
        epochs=1,
        peers={
            "pytorch": (1.25, 1.2),
            "pytorch_fused": None,
            "jax_scan": (1.0, 1.0),
            "products": None,
        },
    ),
    "perceptron": Perceptrons("perceptrons, one vs rest", 10, peers={"scikit_learn": (5, 5)}),
    "inference-1": Inference(
        "inference, batch 1", 1, 2000, peers={"pytorch": (3, 3), "onnx_runtime": (0.9, 0.9)}
    ),
    "inference-10": Inference(
        "inference, batch 10", 10, 10_000, peers={"pytorch": (2, 2), "onnx_runtime": (0.8, 0.8)}
    ),
    "inference-100": Inference(
        "inference, batch 100",
        100,
        10_000,
        peers={"pytorch": (1.2, 1.2), "onnx_runtime": (0.8, 0.8)},
    ),
    "inference-10000": Inference(
        "inference, batch 10,000",
        10_000,
        10_000,
        peers={"pytorch": (1.4, 1.0), "onnx_runtime": (1.2, 1.2)},
    ),
}


@dataclass(frozen=True)
class Data:
    """MNIST as uint8 rows (N, 784) with labels (N,), and the forms that some libraries need."""

    x: Array
    t: Array
    x_test: Array
    t_test: Array

    @functools.cached_property
    def inputs(self) -> Array:
        """The training images as float32 in [0, 1]."""
        return scaled(self.x)

    @functools.cached_property
    def one_hot(self) -> Array:
        """The training labels as float32 rows of a single one."""
        return np.eye(10, dtype=np.float32)[self.t]

    @property
    def test_inputs(self) -> Array:
        """The test images as float32 in [0, 1]."""
        return scaled(self.x_test)


def scaled(x: Array) -> Array:
    """Return bytes as float32 in [0, 1]."""
    return np.divide(x, 255, dtype=np.float32)


def load(data_dir: str | Path | None) -> Data:
    """Read MNIST, from the user's cache where no folder is given."""
    mnist = DATASETS["mnist"](data_dir=data_dir)
    x, t = mnist.x.reshape(-1, 784), mnist.t.astype(np.int64)
    # Copies: the arrays are read-only views, which PyTorch does not take.
    train, test = (x[part].copy() for part in (mnist.train, mnist.test))
    return Data(train, t[mnist.train], test, t[mnist.test])
