"""The multilayer perceptron: its parameters and the way forward (book ch. 3.4)."""

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from runner.nn.activations import Activation
from runner.nn.checks import Array, check_shape, require
from runner.nn.initializers import Initializer
from runner.nn.outputs import Output

ROWS = 512  # samples that go forward together: their arrays stay in the cache
FEW = 16  # rows that are still faster times a matrix whose columns lie together


class MLP:
    """A fully connected network: a = z W + b in each layer, z = h(a) between them.

    Where h takes several pieces for each of its units, W and b have a column for each piece.

    Parameters
    ----------
    sizes
        Units of each layer from the inputs to the outputs, ``[784, 50, 100, 10]``.
    activations
        One per hidden layer, none for ``[2, 1]``.
    output
        The function after the last layer.
    dtype
        float32 or float64, of all arrays.

    Attributes
    ----------
    shapes
        Of W and b in one, the bias as the last row, by layer: (fan_in + 1, columns).
    parameters
        Flat vector of all weights and biases: W1, b1, W2, b2, ...
    W, b
        Views into it, by layer: (fan_in, columns) and (columns,).
    Wb
        Both in one.

    Raises
    ------
    NeuralNetworkError
        For sizes, activations or a dtype that make no network.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activations: Sequence[Activation],
        output: Output,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.sizes, self.activations = list(sizes), list(activations)
        self.output, self.dtype = output, np.dtype(dtype)
        at_least_two = len(self.sizes) >= 2 and min(self.sizes) >= 1
        require(at_least_two, "sizes", "two or more of at least 1", self.sizes)
        hidden = len(self.sizes) - 2
        require(len(self.activations) == hidden, "activations", str(hidden), len(self.activations))
        require(self.dtype in (np.float32, np.float64), "dtype", "float32 or float64", self.dtype)
        pairs = zip(pairwise(self.sizes), [*(h.pieces for h in self.activations), 1], strict=True)
        self.shapes = [(fan_in + 1, units * pieces) for (fan_in, units), pieces in pairs]
        self.parameters = np.zeros(sum(map(math.prod, self.shapes)), self.dtype)
        self.Wb = layers(self.parameters, self.shapes)
        self.W, self.b = [Wb[:-1] for Wb in self.Wb], [Wb[-1] for Wb in self.Wb]

    def initialize(
        self, initializer: Initializer, names: Sequence[str], *, rng: np.random.Generator
    ) -> None:
        """Draw first weights, biases 0; ``names`` has the function after each layer, by layer."""
        require(len(names) == len(self.W), "names", str(len(self.W)), len(names))
        for W, b, name in zip(self.W, self.b, names, strict=True):
            W[...] = initializer(W.shape[0], W.shape[1], name, rng=rng, dtype=self.dtype)
            b[...] = 0

    def set_weights(self, W: Sequence[ArrayLike], b: Sequence[ArrayLike]) -> None:
        """Copy given weights and biases in, cast to the network's dtype.

        Raises
        ------
        NeuralNetworkError
            Where their number or a shape differs; the network is then unchanged.
        """
        for letter, own, given in (("W", self.W, W), ("b", self.b, b)):
            require(len(own) == len(given), letter, f"{len(own)} arrays", len(given))
            for i, (array, value) in enumerate(zip(own, given, strict=True), start=1):
                check_shape(f"{letter}{i}", np.asarray(value), array.shape)
        for array, value in zip([*self.W, *self.b], [*W, *b], strict=True):
            array[...] = value

    def logits(self, x: ArrayLike) -> Array:
        """Return the last layer's ``a``, (batch, outputs), for inputs ``x``, (batch, inputs)."""
        x = np.asarray(x)
        return Forward(self, rows=min(max(len(x), 1), ROWS) if x.ndim else 1)(x)

    def forward(self, x: ArrayLike) -> Array:
        """Return the outputs ``y``, (batch, outputs), for inputs ``x``, (batch, inputs)."""
        return self.output.forward(self.logits(x))

    def trace(self, x: ArrayLike) -> list[tuple[str, Array]]:
        """Return every array met on the way forward, by the book's names x, W1, b1, a1, z1, ..."""
        z = np.asarray(x, self.dtype)
        check_shape("x", z, (len(z) if z.ndim else 1, self.sizes[0]))
        met = [("x", z)]
        for i, (W, b) in enumerate(zip(self.W, self.b, strict=True), start=1):
            a = z @ W + b
            met += [(f"W{i}", W), (f"b{i}", b), (f"a{i}", a)]
            if i < len(self.W):
                z = self.activations[i - 1].forward(a)
                met.append((f"z{i}", z))
        return [*met, ("y", self.output.forward(a))]


class Forward:
    """The way forward for many samples, through arrays that are made once.

    A bias is the weight of an input that is always 1: the inputs of each
    layer end in a column of ones, and one product does for W and b.

    Parameters
    ----------
    network
        The first layer's weights are copied, the others used as they are at each call.
    rows
        Samples taken together, at most.
    scale
        Factor of the inputs. It goes into the copy of the first weights, so
        that images of bytes need no division: (s x) W = x (s W).
    """

    def __init__(self, network: MLP, rows: int = ROWS, scale: float = 1.0) -> None:
        self.network, self.rows = network, rows
        Wb = np.array(network.Wb[0], order="F" if rows <= FEW else "C")
        Wb[:-1] *= float(scale)
        self.Wb = [Wb, *network.Wb[1:]]
        z1 = [np.ones((rows, fan_in + 1), network.dtype) for fan_in in network.sizes[:-1]]
        a = [np.empty((rows, columns), network.dtype) for _, columns in network.shapes[:-1]]
        self.arrays = cache(
            lambda n: ([z[:n] for z in z1], [z[:n, :-1] for z in z1], [each[:n] for each in a])
        )

    def __call__(self, x: Array) -> Array:
        """Return the logits (samples, outputs) of real ``x``, (samples, inputs), of any dtype.

        Raises
        ------
        NeuralNetworkError
            Where the shape is another one.
        """
        check_shape("x", x, (len(x) if x.ndim else 1, self.network.sizes[0]))
        logits = np.empty((len(x), self.network.sizes[-1]), self.network.dtype)
        for first in range(0, len(x), self.rows):
            rows = slice(first, first + self.rows)
            self._some(x[rows], logits[rows])
        return logits

    def _some(self, x: Array, logits: Array) -> None:
        z1, z, a = self.arrays(len(x))
        np.copyto(z[0], x, casting="same_kind")
        for i, activation in enumerate(self.network.activations):
            activation.forward(np.dot(z1[i], self.Wb[i], out=a[i]), out=z[i + 1])
        np.dot(z1[-1], self.Wb[-1], out=logits)


def layers(vector: Array, shapes: Sequence[tuple[int, int]]) -> list[Array]:
    """Cut a flat vector into the views of these shapes that lie in it one after the other."""
    starts = np.cumsum([0, *map(math.prod, shapes)])
    cut = [vector[start:stop] for start, stop in pairwise(starts)]
    return [part.reshape(shape) for part, shape in zip(cut, shapes, strict=True)]
