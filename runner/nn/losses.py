"""Loss functions, and the stable pairs of a loss with an output function (book ch. 4.2, 5.6.3)."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from runner.nn import outputs
from runner.nn.activations import softplus, vanishes
from runner.nn.checks import Array, number
from runner.nn.outputs import Output, softmax_into

DELTA = 1e-7  # keeps the logarithm of an output of 0 finite (book 4.2.2)


class Head(NamedTuple):
    """What follows the last layer's logits: output function and loss in one.

    ``value`` gives the mean loss of a batch from the logits ``a`` and the
    targets ``t``, both (batch, outputs); ``backward`` gives it too, and
    writes dL/da of that mean into its third argument.
    """

    value: Callable[[Array, Array], float]
    backward: Callable[[Array, Array, Array], float]


class Loss(NamedTuple):
    """A loss of outputs ``y`` against targets ``t``, both (batch, outputs).

    ``value`` is the mean over the batch, ``gradient`` its dL/dy.
    ``on_logits`` has the output functions, by name, that are better taken
    together with the loss.
    """

    value: Callable[[Array, Array], float]
    gradient: Callable[[Array, Array], Array]
    on_logits: Mapping[str, Head] = MappingProxyType({})


def head(loss: Loss, output: Output, output_name: str) -> Head:
    """Return the fused pair of a loss and an output function, else the chain of both."""
    if output_name in loss.on_logits:
        return loss.on_logits[output_name]

    def value(a: Array, t: Array) -> float:
        return loss.value(output.forward(a), t)

    def backward(a: Array, t: Array, da: Array) -> float:
        y = output.forward(a)
        np.copyto(da, output.backward(y, loss.gradient(y, t)))
        return loss.value(y, t)

    return Head(value, backward)


def sum_squares() -> Loss:
    """Return ½ Σ (y - t)², the sum over the outputs, the mean over the batch (book eq. 4.1)."""

    def value(y: Array, t: Array) -> float:
        return 0.5 * _mean((y - t) ** 2)

    def gradient(y: Array, t: Array) -> Array:
        return (y - t) / len(y)

    return Loss(value, gradient)


def cross_entropy(delta: float = DELTA) -> Loss:
    """Return -Σ t log(y + delta), the mean over the batch (book eq. 4.2, 4.3).

    With softmax outputs its gradient in the logits is y - t (book 5.6.3);
    identity outputs are taken as the logits of a softmax. With sigmoid and
    step outputs it is the binary cross-entropy, summed over the outputs, and
    with pairwise ones that of the pairs with the right class, without delta.

    Parameters
    ----------
    delta
        Keeps the loss of an output of 0 finite. With 0 it is computed from
        the logits and exact, as PyTorch's. The gradients are always those of
        the exact loss, as in the book, so it has to be small.

    Raises
    ------
    NeuralNetworkError
        For a delta that is negative or not below 1e-5.
    """
    delta = number("delta", delta, least=0, below=1e-5)

    def value(y: Array, t: Array) -> float:
        return -_mean(t * np.log(y + delta))

    def gradient(y: Array, t: Array) -> Array:
        return -t / (y + delta) / len(y)

    softmax = _softmax_cross_entropy(delta)
    heads = {"softmax": softmax, "identity": softmax, "sigmoid": _binary_cross_entropy(delta)}
    heads |= {"pairwise": _pairwise_cross_entropy()}
    return Loss(value, gradient, MappingProxyType(heads | {"step": _step_cross_entropy(delta)}))


def _softmax_cross_entropy(delta: float) -> Head:
    """-Σ t log(y + delta), or Σ t (log Σ exp(a) - a) without delta; gradient y - t.

    Each row of t sums to 1 (book 5.6.3, app. A).
    """

    def exact(a: Array, t: Array) -> float:
        a = a - np.max(a, axis=1, keepdims=True)
        return _mean(t * (np.log(np.sum(np.exp(a), axis=1, keepdims=True)) - a))

    def of_outputs(y: Array, t: Array) -> float:
        return -_mean(t * np.log(y + delta))

    @vanishes
    def value(a: Array, t: Array) -> float:
        return of_outputs(softmax_into(a), t) if delta > 0 else exact(a, t)

    @vanishes
    def backward(a: Array, t: Array, da: Array) -> float:
        y = softmax_into(a, out=da)
        loss = of_outputs(y, t) if delta > 0 else exact(a, t)
        da -= t
        da /= len(a)
        return loss

    return Head(value, backward)


def _step_cross_entropy(delta: float) -> Head:
    """-log(delta) for every output that is wrong; a step passes no gradient."""
    step = outputs.step().forward
    price = -math.log(delta) if delta > 0 else math.inf

    def value(a: Array, t: Array) -> float:
        return _mean(np.where(step(a) == t, 0.0, price))

    def backward(a: Array, t: Array, da: Array) -> float:
        da[...] = 0
        return value(a, t)

    return Head(value, backward)


def _binary_cross_entropy(delta: float) -> Head:
    """-Σ t log(y + delta) + (1 - t) log(1 - y + delta); gradient y - t.

    Without delta it is Σ softplus(a) - t a.

    Bishop 2006, eq. 4.90 and 4.91.
    """
    sigmoid, log_1_exp = outputs.sigmoid().forward, softplus().forward

    def value(a: Array, t: Array) -> float:
        if delta > 0:
            return -_mean(t * np.log(sigmoid(a) + delta) + (1 - t) * np.log(sigmoid(-a) + delta))
        return _mean(log_1_exp(a) - t * a)

    def backward(a: Array, t: Array, da: Array) -> float:
        np.divide(sigmoid(a) - t, len(a), out=da)
        return value(a, t)

    return Head(value, backward)


def _pairwise_cross_entropy() -> Head:
    """Σ softplus(-a) where the first class of a pair is the right one, of a where the second is.

    A pair without the right class, whose target is nan, counts nothing: each of the pairs learns
    from the samples of its two classes alone.
    """
    sigmoid, log_1_exp = outputs.sigmoid().forward, softplus().forward

    def value(a: Array, t: Array) -> float:
        return _mean(np.nan_to_num(log_1_exp((1 - 2 * t) * a), nan=0.0, posinf=np.inf))

    def backward(a: Array, t: Array, da: Array) -> float:
        sign = 1 - 2 * t
        np.divide(np.nan_to_num(sign * sigmoid(sign * a)), len(a), out=da)
        return value(a, t)

    return Head(value, backward)


def _mean(losses: Array) -> float:
    """Sum over the outputs, mean over the batch; added up in float64, whatever the dtype."""
    return float(np.add.reduce(losses, axis=None, dtype=np.float64)) / len(losses)


LOSSES: dict[str, Callable[..., Loss]] = {
    "cross_entropy": cross_entropy,
    "sum_squares": sum_squares,
}
