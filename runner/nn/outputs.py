"""Output functions of the last layer and the decision for a class (book ch. 3.5)."""

import math
from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runner.nn import activations
from runner.nn.checks import Array


class Output(NamedTuple):
    """An output function and its way back.

    ``forward`` turns the logits ``a``, (batch, outputs), into the outputs
    ``y`` of the same dtype and, but for ``pairwise``, the same shape.
    ``backward`` turns ``y`` and dL/dy into dL/da.
    """

    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]


def identity() -> Output:
    """Return the logits, for regression (book 3.5.1)."""
    return Output(np.copy, lambda y, dy: dy)


def sigmoid() -> Output:
    """Return 1 / (1 + exp(-a)), for two classes (book 3.2.4, 5.5.2)."""
    return Output(activations.sigmoid().forward, lambda y, dy: dy * y * (1 - y))


def softmax() -> Output:
    """Return exp(a_k) / Σ exp(a_i) along the last axis, for many classes (book eq. 3.10).

    The largest logit is subtracted first, which changes nothing but keeps
    exp from overflowing (book eq. 3.11). Each row sums to 1.
    """

    @activations.vanishes
    def backward(y: Array, dy: Array) -> Array:
        da: Array = y * (dy - np.sum(y * dy, axis=-1, keepdims=True))
        return da

    return Output(activations.vanishes(softmax_into), backward)


def softmax_into(a: Array, out: Array | None = None) -> Array:
    """Return the softmax of logits (batch, outputs) in ``out``, else in a new array."""
    y = np.subtract(a, np.maximum.reduce(a, axis=-1, keepdims=True), out=out)
    np.exp(y, out=y)
    y /= np.add.reduce(y, axis=-1, keepdims=True)
    return y


def step() -> Output:
    """Return 0 or 1 as a perceptron does (book 3.2.2); no gradient passes through it."""
    return Output(activations.step().forward, lambda y, dy: np.zeros_like(dy))


def pairwise() -> Output:
    """Return the votes that each class wins against each other one; no gradient passes through it.

    The logits are one for each pair of classes (0, 1), (0, 2), ..., (1, 2), ...: above 0 the
    first of both wins. Of as many votes the class is ahead whose wins are the clearer ones: the
    mean of its probabilities is added, so y is from 0 to below the number of classes
    (Friedman 1996, "Another approach to polychotomous classification"; LeCun et al. 1998).
    """
    probability = activations.sigmoid().forward

    def forward(a: Array) -> Array:
        p, classes = probability(a), (1 + math.isqrt(1 + 8 * a.shape[-1])) // 2
        y = np.zeros((*a.shape[:-1], classes), a.dtype)
        for pair, (i, j) in enumerate(combinations(range(classes), 2)):
            won = (a[..., pair] > 0) + p[..., pair] / classes
            y[..., i] += won
            y[..., j] += 1 + 1 / classes - won
        return y

    return Output(forward, lambda y, dy: np.zeros_like(dy))


def decide(y: Array) -> NDArray[np.intp]:
    """Return the class of each row of outputs ``y``, (batch, outputs), as (batch,) integers.

    One output neuron stands for the probability of class 1, which holds
    above 0.5; of several the largest wins, the first where some are equal.
    """
    if y.shape[1] == 1:
        return (y[:, 0] > 0.5).astype(np.intp)
    labels: NDArray[np.intp] = np.argmax(y, axis=1)
    return labels


OUTPUTS: dict[str, Callable[..., Output]] = {
    "identity": identity,
    "pairwise": pairwise,
    "sigmoid": sigmoid,
    "softmax": softmax,
    "step": step,
}
