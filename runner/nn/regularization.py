"""What keeps a network from learning its samples by heart (book ch. 6.4)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runner.nn.checks import Array, number, require


@dataclass(frozen=True)
class Regularization:
    """What a training does besides following the gradient; each is off unless given.

    Parameters
    ----------
    dropout, input_dropout
        Fraction of the hidden units and of the inputs that each sample does without.
    max_norm
        The largest norm of the weights that go into a unit (Srivastava et al. 2014, 5.1).
    clip_norm
        The largest norm of the whole gradient (Pascanu et al. 2013, algorithm 1).

    Raises
    ------
    NeuralNetworkError
        For fractions outside [0, 1) and norms that are not above 0.
    """

    dropout: float = 0.0
    input_dropout: float = 0.0
    max_norm: float | None = None
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        for name in ("dropout", "input_dropout"):
            number(name, getattr(self, name), least=0, below=1)
        for name in ("max_norm", "clip_norm"):
            if getattr(self, name) is not None:
                number(name, getattr(self, name), least=float(np.finfo(np.float32).tiny))


PLAIN = Regularization()


class Dropout:
    """Leaves out units at random, and scales up the others (book 6.4.3; Srivastava et al. 2014).

    Scaled during training, as in PyTorch, a network is evaluated as it is.

    Raises
    ------
    NeuralNetworkError
        Without a generator.
    """

    def __init__(self, p: float, rng: np.random.Generator | None) -> None:
        require(rng is not None, "dropout_rng", "a generator (for dropout)", rng)
        assert rng is not None
        self.p, self.rng, self.drawn = p, rng, np.empty(0, np.float32)

    def __call__(self, *arrays: Array) -> None:
        """Multiply arrays of one shape by 0 with probability p, else by 1/(1 - p), in place."""
        if self.drawn.size < arrays[0].size:
            self.drawn = np.empty(arrays[0].size, np.float32)
        drawn = self.rng.random(dtype=np.float32, out=self.drawn[: arrays[0].size])
        kept = drawn.reshape(arrays[0].shape) >= self.p
        factor = np.multiply(kept, 1 / (1 - self.p), dtype=arrays[0].dtype)
        for array in arrays:
            array *= factor


def clip_norm(gradients: Array, most: float) -> None:
    """Shorten a gradient to the norm ``most`` where it is longer, in place."""
    norm = _norm(gradients)
    if math.isinf(norm):  # the squares overflow, not yet the gradient
        gradients /= np.abs(gradients).max()
        gradients *= most / _norm(gradients)
    elif norm > most:
        gradients *= most / norm


def _norm(gradients: Array) -> float:
    return math.sqrt(float(np.vdot(gradients, gradients)))


def clip_columns(weights: Sequence[Array], most: float) -> None:
    """Shorten the weights into each unit, columns of (fan_in, fan_out), to the norm ``most``."""
    for W in weights:
        norms = np.sqrt(np.einsum("ij,ij->j", W, W))
        norms[np.isinf(norms)] = np.nan  # not 0 for weights whose squares overflow: it has diverged
        W *= most / np.maximum(norms, most)
