"""How the parameters follow their gradients (book ch. 6.1).

An optimizer works in place on flat vectors, block by block, so that what one
line leaves in the cache the next one finds there. Its state is made at the
first update: one optimizer belongs to one training. ``weight_decay`` adds
``weight_decay · parameters`` to the gradients, biases included, as in PyTorch
(book 6.4.2 leaves the biases out).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np

from runner.nn.checks import Array, number

BLOCK = 1 << 16  # numbers of each vector that are worked on together
# What parameters lie below; none is negative.
LIMITS = dict.fromkeys(("momentum", "alpha", "beta1", "beta2"), 1.0)
LIMITS |= dict.fromkeys(("weight_decay", "eps"), math.inf)
FLUSH = 100  # updates between two looks for denormal numbers, which are slow to compute with


class Optimizer(Protocol):
    """Anything with this update."""

    def update(self, parameters: Array, gradients: Array, lr: float) -> None:
        """Change ``parameters``, (n,), in place by one step of learning rate ``lr``.

        They are W1, b1, W2, ..., row after row; while bytes are learned, the
        rows of W1 are in the order in which `Batches` arranges the inputs.
        What is left in ``gradients`` is of no more use.
        """
        ...


@dataclass
class Blockwise:
    """What the optimizers here share: their state, weight decay, and the loop over blocks.

    Attributes
    ----------
    MOMENTS
        How many vectors of the parameters' size the state has.
    moments, updates
        These vectors, and the number of updates so far.
    """

    MOMENTS: ClassVar[int] = 0
    weight_decay: float = field(default=0.0, kw_only=True)
    updates: int = field(default=0, init=False, repr=False)
    moments: list[Array] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, below in LIMITS.items():
            if hasattr(self, name):
                setattr(self, name, number(name, getattr(self, name), least=0, below=below))

    def update(self, parameters: Array, gradients: Array, lr: float) -> None:
        """Take one step."""
        while len(self.moments) < self.MOMENTS:
            self.moments.append(np.zeros_like(parameters))
        self.updates += 1
        vectors, spare = (parameters, gradients, *self.moments), np.empty_like(parameters[:BLOCK])
        for first in range(0, len(parameters), BLOCK):
            p, g, *moments = [vector[first : first + BLOCK] for vector in vectors]
            s = spare[: len(p)]
            if self.weight_decay:
                g += np.multiply(p, self.weight_decay, out=s)
            self.step(p, g, s, lr, *moments)
        if self.updates % FLUSH == 0:
            for moment in self.moments:
                moment[np.abs(moment) < np.finfo(moment.dtype).tiny] = 0

    def step(self, p: Array, g: Array, s: Array, lr: float, *moments: Array) -> None:
        """Change one block of the parameters; ``g`` and the spare ``s`` may be overwritten."""
        raise NotImplementedError


@dataclass
class SGD(Blockwise):
    """w ← w - lr g (book eq. 6.1)."""

    def step(self, p: Array, g: Array, s: Array, lr: float, *moments: Array) -> None:
        """Change one block."""
        if lr != 1:
            g *= lr
        p -= g


@dataclass
class Momentum(Blockwise):
    """v ← μ v - lr g, w ← w + v, with μ = ``momentum`` (book eq. 6.3, 6.4; Polyak 1964)."""

    MOMENTS = 1
    momentum: float = 0.9

    def step(self, p: Array, g: Array, s: Array, lr: float, *moments: Array) -> None:
        """Change one block."""
        (v,) = moments
        v *= self.momentum
        if lr != 1:
            g *= lr
        v -= g
        p += v


@dataclass
class Nesterov(Momentum):
    """v ← μ v - lr g, w ← w + μ v - lr g: momentum with the gradient one step ahead.

    Bengio et al. 2013 (Advances in optimizing recurrent networks), section 3.5;
    PyTorch's ``SGD(nesterov=True)`` at a constant learning rate.
    """

    def step(self, p: Array, g: Array, s: Array, lr: float, *moments: Array) -> None:
        """Change one block."""
        (v,) = moments
        v *= self.momentum
        if lr != 1:
            g *= lr
        v -= g
        p += np.multiply(v, self.momentum, out=s)
        p -= g


@dataclass
class AdaGrad(Blockwise):
    """h ← h + g², w ← w - lr g / (√h + eps) (book eq. 6.5, 6.6; Duchi et al. 2011)."""

    MOMENTS = 1
    eps: float = 1e-7

    def step(self, p: Array, g: Array, s: Array, lr: float, *moments: Array) -> None:
        """Change one block."""
        (h,) = moments
        h += np.square(g, out=s)
        _descend(p, g, h, s, lr, self.eps)


@dataclass
class RMSprop(Blockwise):
    """h ← alpha h + (1 - alpha) g², w ← w - lr g / (√h + eps).

    Tieleman & Hinton 2012 (Coursera, lecture 6.5), in PyTorch's form and words.
    """

    MOMENTS = 1
    alpha: float = 0.99
    eps: float = 1e-7

    def step(self, p: Array, g: Array, s: Array, lr: float, *moments: Array) -> None:
        """Change one block; h is kept without its factor 1 - alpha, which saves a pass."""
        (h,) = moments
        h *= self.alpha
        h += np.square(g, out=s)
        root = math.sqrt(1 - self.alpha)
        _descend(p, g, h, s, lr / root, self.eps / root)


@dataclass
class Adam(Blockwise):
    """First and second moments of the gradient, corrected for their start at 0.

    m ← β1 m + (1 - β1) g, v ← β2 v + (1 - β2) g²,
    w ← w - lr √(1 - β2^k) / (1 - β1^k) · m / (√v + eps) at the k-th update.
    Kingma & Ba 2015, algorithm 1 in the faster form at the end of section 2,
    which the book uses too (6.1.6).
    """

    MOMENTS = 2
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-7

    def step(self, p: Array, g: Array, s: Array, lr: float, *moments: Array) -> None:
        """Change one block; m and v are kept without their factors 1 - β, which saves passes."""
        m, v = moments
        m *= self.beta1
        m += g
        v *= self.beta2
        v += np.square(g, out=s)
        root = math.sqrt(1 - self.beta2)
        correction = math.sqrt(1 - self.beta2**self.updates) / (1 - self.beta1**self.updates)
        _descend(p, m, v, s, lr * correction * (1 - self.beta1) / root, self.eps / root)


def _descend(p: Array, direction: Array, squares: Array, s: Array, lr: float, eps: float) -> None:
    """P ← p - lr direction / (√squares + eps), with ``s`` as a spare."""
    np.sqrt(squares, out=s)
    s += eps
    np.divide(direction, s, out=s)
    s *= lr
    p -= s


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSprop,
    "adam": Adam,
}
# Their steps are linear in the gradients: lr may as well come with them, as a factor of the
# loss. Then ``update`` gets 1, and a pass over all gradients is saved.
LINEAR = (SGD, Momentum, Nesterov)
