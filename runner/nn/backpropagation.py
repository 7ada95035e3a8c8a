"""Back-propagation: the gradient of the loss in every parameter (book ch. 5)."""

from functools import cache
from typing import NamedTuple

import numpy as np

from runner.nn.checks import Array, check_shape
from runner.nn.losses import Head
from runner.nn.mlp import MLP, layers
from runner.nn.regularization import Dropout


class Layer(NamedTuple):
    """The arrays of a layer for one batch, (batch, units).

    ``a`` is the pre-activation and ``da`` the gradient of the loss in it;
    ``z`` = h(a) and ``dz`` the gradient in it; ``z1`` is z with a column of
    ones after it. The slope dz/da lies where da will be, and dz where a was.
    ``slope`` is da again, piece by piece where units have several, (pieces, batch, units).
    The last layer has only a and da: what the others have is empty there.
    """

    a: Array
    da: Array
    slope: Array = np.empty((0, 0))
    z1: Array = np.empty((0, 0))
    z: Array = np.empty((0, 0))
    dz: Array = np.empty((0, 0))


class Backpropagation:
    """The gradient of the mean loss of a batch, through arrays made once for each batch size.

    A bias is the weight of an input that is always 1: the inputs of each
    layer end in a column of ones, and one product does for W and b.

    Parameters
    ----------
    network
        Its parameters are used as they are at each call.
    head
        Output function and loss in one, from ``losses.head``.
    dropout
        What leaves out hidden units; None leaves out none.

    Attributes
    ----------
    gradients
        Flat vector of the gradient, in the order of ``network.parameters``.
    dWb
        Views into it, by layer, as the network's Wb.
    """

    def __init__(self, network: MLP, head: Head, dropout: Dropout | None = None) -> None:
        self.network, self.head, self.dropout = network, head, dropout
        self.gradients = np.zeros_like(network.parameters)
        self.dWb = layers(self.gradients, network.shapes)
        self.arrays = cache(self._arrays)

    def __call__(self, x1: Array, t: Array, first: int = 0, factor: float = 1.0) -> float:
        """Fill ``gradients`` and return the mean loss of the batch (book 5.7).

        Parameters
        ----------
        x1
            Inputs and a column of ones, (batch, inputs + 1 - first), of the network's
            dtype. Those before number ``first`` are 0 in the whole batch.
        t
            Targets (batch, outputs), one-hot for classes.
        factor
            Of the loss whose gradient is taken; what is returned is without it.

        Raises
        ------
        NeuralNetworkError
            Where a shape is another one.
        """
        arrays = self.arrays(len(x1))
        check_shape("x", x1, (len(x1), self.network.sizes[0] + 1 - first))
        check_shape("t", t, arrays[-1].a.shape)
        self._forward(x1, first, arrays)
        loss = self.head.backward(arrays[-1].a, t, arrays[-1].da)
        if factor != 1:
            np.multiply(arrays[-1].da, factor, out=arrays[-1].da)
        self._backward(x1, first, arrays)
        return loss

    def _arrays(self, n: int) -> list[Layer]:
        """Return the arrays of each layer for a batch of n samples."""
        *hidden, (_, outputs) = self.network.shapes
        dtype, made = self.network.dtype, []
        for units, (_, columns) in zip(self.network.sizes[1:-1], hidden, strict=True):
            a, da = (np.empty((n, columns), dtype) for _ in range(2))
            slope = da if columns == units else da.reshape(n, -1, units).transpose(1, 0, 2)
            z1 = np.ones((n, units + 1), dtype)
            dz = a.reshape(-1)[: n * units].reshape(n, units)
            made.append(Layer(a, da, slope, z1, z1[:, :-1], dz))
        # The softmax goes along the outputs, which is faster where they are the outer axis.
        a, da = (np.empty((outputs, n), dtype).T for _ in range(2))
        return [*made, Layer(a, da)]

    def _forward(self, x1: Array, first: int, arrays: list[Layer]) -> None:
        weights, z1 = [self.network.Wb[0][first:], *self.network.Wb[1:]], x1
        for i, activation in enumerate(self.network.activations):
            activation.both(np.dot(z1, weights[i], out=arrays[i].a), arrays[i].z, arrays[i].da)
            z1 = arrays[i].z1
            if self.dropout is not None:
                self.dropout(arrays[i].z, arrays[i].slope)
        np.dot(weights[-1].T, z1.T, out=arrays[-1].a.T)

    def _backward(self, x1: Array, first: int, arrays: list[Layer]) -> None:
        for i in range(len(arrays) - 1, 0, -1):
            before, da = arrays[i - 1], arrays[i].da
            np.dot(before.z1.T, da, out=self.dWb[i])
            np.dot(da, self.network.W[i].T, out=before.dz)
            np.multiply(before.slope, before.dz, out=before.slope)
        np.dot(x1.T, arrays[0].da, out=self.dWb[0][first:])
        self.dWb[0][:first] = 0
