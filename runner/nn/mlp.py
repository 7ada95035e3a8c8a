"""The multilayer perceptron: its parameters, the way forward and the way back (book ch. 3.4, 5)."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from runner.nn.activations import Activation
from runner.nn.checks import Array, require
from runner.nn.initializers import Initializer
from runner.nn.losses import Head
from runner.nn.outputs import Output


class MLP:
    """A fully connected network: a = z W + b in each layer, z = h(a) between them.

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
    parameters, gradients
        Flat vectors of all weights and biases, and of the loss's gradient in them.
    W, b, dW, db
        Views into both, by layer: (fan_in, fan_out) and (fan_out,).

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
        count = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(self.sizes))
        self.parameters = np.zeros(count, self.dtype)
        self.gradients = np.zeros(count, self.dtype)
        self.W, self.b = _views(self.parameters, self.sizes)
        self.dW, self.db = _views(self.gradients, self.sizes)

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
        pairs = [*_named("W", self.W, W), *_named("b", self.b, b)]
        for name, own, given in pairs:
            require(own.shape == given.shape, name, str(own.shape), given.shape)
        for _, own, given in pairs:
            own[...] = given

    def logits(self, x: ArrayLike) -> Array:
        """Return the last layer's ``a``, (batch, outputs), for inputs ``x``, (batch, inputs)."""
        z = self._batch(x)
        for W, b, activation in zip(self.W[:-1], self.b[:-1], self.activations, strict=True):
            z = activation.forward(_affine(z, W, b))
        return _affine(z, self.W[-1], self.b[-1])

    def forward(self, x: ArrayLike) -> Array:
        """Return the outputs ``y``, (batch, outputs), for inputs ``x``, (batch, inputs)."""
        return self.output.forward(self.logits(x))

    def trace(self, x: ArrayLike) -> list[tuple[str, Array]]:
        """Return every array met on the way forward, by the book's names x, W1, b1, a1, z1, ..."""
        x = self._batch(x)
        z, a = self._layers(x)
        met = [("x", x)]
        for i in range(len(self.W)):
            met += [(f"W{i + 1}", self.W[i]), (f"b{i + 1}", self.b[i]), (f"a{i + 1}", a[i])]
            if i < len(self.activations):
                met.append((f"z{i + 1}", z[i + 1]))
        return [*met, ("y", self.output.forward(a[-1]))]

    def backward(self, x: ArrayLike, t: ArrayLike, head: Head) -> float:
        """Fill ``gradients`` by back-propagation and return the mean loss of the batch (book 5.7).

        Parameters
        ----------
        x
            Inputs (batch, inputs).
        t
            Targets (batch, outputs), one-hot for classes.
        head
            Output function and loss in one, from ``losses.head``.

        Raises
        ------
        NeuralNetworkError
            Where a shape is another one.
        """
        z, a = self._layers(self._batch(x))
        t = np.asarray(t, self.dtype)
        require(t.shape == a[-1].shape, "t", str(a[-1].shape), t.shape)
        loss, da = head.value(a[-1], t), head.gradient(a[-1], t)
        for i in reversed(range(len(self.W))):
            np.matmul(z[i].T, da, out=self.dW[i])
            np.sum(da, axis=0, out=self.db[i])
            if i > 0:
                da = da @ self.W[i].T
                da *= self.activations[i - 1].slope(a[i - 1])
        return loss

    def _layers(self, x: Array) -> tuple[list[Array], list[Array]]:
        """Return the inputs z of each layer, x the first, and what each makes of them, a."""
        z, a = [x], []
        for i, (W, b) in enumerate(zip(self.W, self.b, strict=True)):
            a.append(_affine(z[i], W, b))
            if i < len(self.activations):
                z.append(self.activations[i].forward(a[i]))
        return z, a

    def _batch(self, x: ArrayLike) -> Array:
        x = np.asarray(x, self.dtype)
        matches = x.ndim == 2 and x.shape[1] == self.sizes[0]
        require(matches, "x", f"(batch, {self.sizes[0]})", x.shape)
        return x


def _affine(z: Array, W: Array, b: Array) -> Array:
    a: Array = z @ W
    a += b
    return a


def _views(vector: Array, sizes: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """Cut a flat vector into W1, b1, W2, b2, ..."""
    W, b, start = [], [], 0
    for fan_in, fan_out in pairwise(sizes):
        middle = start + fan_in * fan_out
        W.append(vector[start:middle].reshape(fan_in, fan_out))
        b.append(vector[middle : middle + fan_out])
        start = middle + fan_out
    return W, b


def _named(
    letter: str, own: Sequence[Array], given: Sequence[ArrayLike]
) -> list[tuple[str, Array, Array]]:
    """Pair own and given arrays with their names W1, W2, ..."""
    require(len(own) == len(given), letter, f"{len(own)} arrays", len(given))
    numbered = enumerate(zip(own, given, strict=True), start=1)
    return [(f"{letter}{i}", array, np.asarray(value)) for i, (array, value) in numbered]
