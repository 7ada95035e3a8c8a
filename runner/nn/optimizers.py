"""How the parameters follow their gradients (book ch. 6.1).

An optimizer works in place on flat vectors. Its state is made at the first
update: one optimizer belongs to one network. ``weight_decay`` adds
``weight_decay · parameters`` to the gradients, biases included, as in PyTorch
(book 6.4.2 leaves the biases out).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from runner.nn.checks import Array, number


class Optimizer(Protocol):
    """Anything with this update."""

    def update(self, parameters: Array, gradients: Array, lr: float) -> None:
        """Change ``parameters``, (n,), in place by one step of learning rate ``lr``."""
        ...


@dataclass
class SGD:
    """w ← w - lr g (book eq. 6.1)."""

    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        self.weight_decay = number("weight_decay", self.weight_decay, least=0)

    def update(self, parameters: Array, gradients: Array, lr: float) -> None:
        """Take one step."""
        parameters -= lr * _decayed(gradients, parameters, self.weight_decay)


@dataclass
class Momentum:
    """v ← μ v - lr g, w ← w + v, with μ = ``momentum`` (book eq. 6.3, 6.4; Polyak 1964)."""

    momentum: float = 0.9
    weight_decay: float = 0.0
    velocity: Array | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.momentum = number("momentum", self.momentum, least=0, below=1)
        self.weight_decay = number("weight_decay", self.weight_decay, least=0)

    def update(self, parameters: Array, gradients: Array, lr: float) -> None:
        """Take one step."""
        if self.velocity is None:
            self.velocity = np.zeros_like(parameters)
        self.velocity *= self.momentum
        self.velocity -= lr * _decayed(gradients, parameters, self.weight_decay)
        parameters += self.velocity


@dataclass
class Nesterov(Momentum):
    """v ← μ v - lr g, w ← w + μ v - lr g: momentum with the gradient one step ahead.

    Bengio et al. 2013 (Advances in optimizing recurrent networks), section 3.5;
    PyTorch's ``SGD(nesterov=True)`` at a constant learning rate.
    """

    def update(self, parameters: Array, gradients: Array, lr: float) -> None:
        """Take one step."""
        if self.velocity is None:
            self.velocity = np.zeros_like(parameters)
        descent = lr * _decayed(gradients, parameters, self.weight_decay)
        self.velocity *= self.momentum
        self.velocity -= descent
        parameters += self.momentum * self.velocity
        parameters -= descent


@dataclass
class AdaGrad:
    """h ← h + g², w ← w - lr g / (√h + eps) (book eq. 6.5, 6.6; Duchi et al. 2011)."""

    eps: float = 1e-7
    squares: Array | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.eps = number("eps", self.eps, least=0)

    def update(self, parameters: Array, gradients: Array, lr: float) -> None:
        """Take one step."""
        if self.squares is None:
            self.squares = np.zeros_like(parameters)
        self.squares += gradients * gradients
        parameters -= lr * gradients / (np.sqrt(self.squares) + self.eps)


@dataclass
class RMSprop:
    """h ← alpha h + (1 - alpha) g², w ← w - lr g / (√h + eps).

    Tieleman & Hinton 2012 (Coursera, lecture 6.5), in PyTorch's form and words.
    """

    alpha: float = 0.99
    eps: float = 1e-7
    squares: Array | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.alpha = number("alpha", self.alpha, least=0, below=1)
        self.eps = number("eps", self.eps, least=0)

    def update(self, parameters: Array, gradients: Array, lr: float) -> None:
        """Take one step."""
        if self.squares is None:
            self.squares = np.zeros_like(parameters)
        self.squares *= self.alpha
        self.squares += (1 - self.alpha) * (gradients * gradients)
        parameters -= lr * gradients / (np.sqrt(self.squares) + self.eps)


@dataclass
class Adam:
    """First and second moments of the gradient, corrected for their start at 0.

    m ← β1 m + (1 - β1) g, v ← β2 v + (1 - β2) g²,
    w ← w - lr √(1 - β2^k) / (1 - β1^k) · m / (√v + eps) at the k-th update.
    Kingma & Ba 2015, algorithm 1 in the faster form at the end of section 2,
    which the book uses too (6.1.6).
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-7
    updates: int = field(default=0, init=False, repr=False)
    moments: tuple[Array, Array] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.beta1 = number("beta1", self.beta1, least=0, below=1)
        self.beta2 = number("beta2", self.beta2, least=0, below=1)
        self.eps = number("eps", self.eps, least=0)

    def update(self, parameters: Array, gradients: Array, lr: float) -> None:
        """Take one step."""
        if self.moments is None:
            self.moments = np.zeros_like(parameters), np.zeros_like(parameters)
        m, v = self.moments
        m *= self.beta1
        m += (1 - self.beta1) * gradients
        v *= self.beta2
        v += (1 - self.beta2) * (gradients * gradients)
        self.updates += 1
        lr *= math.sqrt(1 - self.beta2**self.updates) / (1 - self.beta1**self.updates)
        parameters -= lr * m / (np.sqrt(v) + self.eps)


def _decayed(gradients: Array, parameters: Array, weight_decay: float) -> Array:
    return gradients + weight_decay * parameters if weight_decay else gradients


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSprop,
    "adam": Adam,
}
