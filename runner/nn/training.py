"""Epochs of batches: training by gradient descent (book ch. 4.5, 5.7.4)."""

import math
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from runner.nn.backpropagation import Backpropagation
from runner.nn.batches import Batches
from runner.nn.checks import Array, check_shape, overflows, require
from runner.nn.checks import Diverged as Diverged  # whoever calls fit may want to catch it
from runner.nn.losses import Head
from runner.nn.mlp import MLP
from runner.nn.optimizers import LINEAR, OPTIMIZERS, Optimizer
from runner.nn.regularization import PLAIN, Dropout, Regularization, clip_columns, clip_norm
from runner.nn.schedules import Schedule


class EpochRecord(NamedTuple):
    """What an epoch was: counted from 1, with the updates since the start.

    ``train_loss`` is the mean over the samples as they were met, ``seconds``
    the time of the epoch alone, ``lr`` the learning rate of its last update.
    """

    epoch: int
    updates: int
    train_loss: float
    seconds: float
    lr: float


def fit(
    network: MLP,
    x: Array,
    t: Array,
    *,
    head: Head,
    optimizer: Optimizer,
    lr: float,
    schedule: Schedule,
    batch_size: int,
    epochs: int,
    rng: np.random.Generator,
    scale: float = 1.0,
    regularization: Regularization = PLAIN,
    dropout_rng: np.random.Generator | None = None,
    done: int = 0,
) -> Iterator[EpochRecord]:
    """Train in place; yield a record after each epoch.

    Every epoch shuffles the samples anew and visits each once, the last
    batch being shorter where the batch size does not divide their number.

    Parameters
    ----------
    network
        With its first weights.
    x
        Samples (samples, inputs) of any real dtype; a memory map is read batch by batch.
    t
        Targets (samples, outputs), one-hot for classes.
    head
        Output function and loss in one, from ``losses.head``.
    optimizer, lr, schedule
        The learning rate of an update is ``lr`` times the schedule's factor. The
        optimizer's state follows the inputs as `Batches` arranges them: it can go
        on with these samples and this batch size only. One of ``OPTIMIZERS`` without
        weight decay never sees the weights of inputs that are 0 in all samples.
    rng, dropout_rng
        Draw the order of the samples, and what dropout leaves out.
    scale
        Factor of the inputs, 1/255 for bytes that are to lie in [0, 1].
    done
        Epochs that are behind a training that goes on: the network, the
        optimizer and the generators are then as that epoch left them.

    Raises
    ------
    NeuralNetworkError
        Where a shape or the batch size is impossible.
    Diverged
        At the first batch whose loss is not finite, or after an epoch whose parameters are not.
    """
    _check(network, x, t, batch_size)
    rows = min(batch_size, len(x))
    batches = Batches(x, t, rows, network.dtype, scale)
    step = _Step(network, head, optimizer, batches, regularization, dropout_rng)
    per_epoch = math.ceil(len(x) / batch_size)
    updates, total_updates = done * per_epoch, epochs * per_epoch
    for epoch in range(done + 1, epochs + 1):
        started, total, rate = time.perf_counter(), 0.0, 0.0
        order = rng.permutation(len(x))
        with overflows(), batches.arranging(network.W[0]):
            for first in range(0, len(x), batch_size):
                chosen = order[first : first + batch_size]
                rate = float(lr * schedule(updates, total_updates))
                updates += 1
                loss = step(*batches.take(chosen), rate)
                if not math.isfinite(loss):
                    raise Diverged(f"epoch {epoch}, step {updates}: the loss is {loss}")
                total += loss * len(chosen)
        if not np.isfinite(network.parameters).all():
            raise Diverged(f"epoch {epoch}, step {updates}: parameters are not finite")
        yield EpochRecord(epoch, updates, total / len(x), time.perf_counter() - started, rate)


class _Step:
    """One update from one batch.

    ``unused`` inputs, the first ones, are 0 in all samples. What leads from
    them has a gradient of 0 throughout, so that only weight decay could change it.
    """

    def __init__(
        self,
        network: MLP,
        head: Head,
        optimizer: Optimizer,
        batches: Batches,
        options: Regularization,
        rng: np.random.Generator | None,
    ) -> None:
        self.network, self.optimizer, self.options = network, optimizer, options
        rates = (options.dropout, options.input_dropout)
        hidden, self.input_dropout = (Dropout(p, rng) if p else None for p in rates)
        self.gradient = Backpropagation(network, head, hidden)
        known = type(optimizer) in OPTIMIZERS.values()  # a class derived from one may do anything
        decays = getattr(optimizer, "weight_decay", True) if known else True
        learning = slice(0 if decays else batches.unused * network.shapes[0][1], None)
        self.parameters = network.parameters[learning]
        self.gradients = self.gradient.gradients[learning]
        # Weight decay and clipping compare the gradient itself with something.
        self.linear = type(optimizer) in LINEAR and not decays and options.clip_norm is None

    def __call__(self, x1: Array, t: Array, first: int, lr: float) -> float:
        """Change the network, unless the loss, which is returned, is not finite."""
        if self.input_dropout is not None:
            self.input_dropout(x1[:, :-1])
        loss = self.gradient(x1, t, first, lr if self.linear else 1.0)
        if math.isfinite(loss):
            if self.options.clip_norm is not None:
                clip_norm(self.gradients, self.options.clip_norm)
            self.optimizer.update(self.parameters, self.gradients, 1.0 if self.linear else lr)
            if self.options.max_norm is not None:
                clip_columns(self.network.W, self.options.max_norm)
        return loss


def _check(network: MLP, x: Array, t: Array, batch_size: int) -> None:
    check_shape("x", x, (len(x), network.sizes[0]))
    shape = (len(x), network.sizes[-1])
    require(np.shape(t) == shape, "t", str(shape), np.shape(t))
    require(len(x) >= 1, "x", "at least one sample", "none")
    require(batch_size >= 1, "batch_size", "at least 1", batch_size)
