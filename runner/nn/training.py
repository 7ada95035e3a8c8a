"""Batches and epochs: training by gradient descent, and evaluation (book ch. 4.5, 5.7.4)."""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from runner.nn.checks import Array, require
from runner.nn.losses import Head
from runner.nn.mlp import MLP
from runner.nn.optimizers import Optimizer
from runner.nn.schedules import Schedule

# What overflows ends as a loss of inf or nan, which is noticed; a warning would say it twice.
overflows = partial(np.errstate, over="ignore", invalid="ignore", divide="ignore")


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


class Diverged(FloatingPointError):
    """Loss or parameters are not finite, or so large that rounding hides their gradient."""


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
    prepare: Callable[[Array], Array],
) -> Iterator[EpochRecord]:
    """Train in place; yield a record after each epoch.

    Every epoch shuffles the samples anew and visits each once, the last
    batch being shorter where the batch size does not divide their number.

    Parameters
    ----------
    network
        With its first weights.
    x
        Samples in any form, (samples, ...); a memory map is read batch by batch.
    t
        Targets (samples, outputs), one-hot for classes.
    head
        Output function and loss in one, from ``losses.head``.
    optimizer, lr, schedule
        The learning rate of an update is ``lr`` times the schedule's factor.
    prepare
        Makes the input matrix (batch, inputs) of a batch of ``x``.

    Raises
    ------
    NeuralNetworkError
        Where a shape or the batch size is impossible.
    Diverged
        At the first batch whose loss is not finite, or after an epoch whose parameters are not.
    """
    _check(network, x, t, batch_size)
    t = np.asarray(t, network.dtype)
    steps, step = epochs * math.ceil(len(x) / batch_size), 0
    for epoch in range(1, epochs + 1):
        started, total, rate = time.perf_counter(), 0.0, 0.0
        order = rng.permutation(len(x))
        for first in range(0, len(x), batch_size):
            batch = order[first : first + batch_size]
            rate = float(lr * schedule(step, steps))
            step += 1
            with overflows():
                loss = network.backward(prepare(x[batch]), t[batch], head)
                if not math.isfinite(loss):
                    raise Diverged(f"epoch {epoch}, step {step}: the loss is {loss}")
                optimizer.update(network.parameters, network.gradients, rate)
            total += loss * len(batch)
        if not np.isfinite(network.parameters).all():
            raise Diverged(f"epoch {epoch}, step {step}: parameters are not finite")
        yield EpochRecord(epoch, step, total / len(x), time.perf_counter() - started, rate)


def evaluate(
    network: MLP,
    x: Array,
    t: Array,
    head: Head,
    batch_size: int,
    prepare: Callable[[Array], Array],
) -> tuple[float, Array]:
    """Return the mean loss and the outputs y, (samples, outputs), of the samples in their order.

    The arguments are those of ``fit``. Logits that overflow make the loss
    inf or nan, without a warning.
    """
    _check(network, x, t, batch_size)
    t = np.asarray(t, network.dtype)
    y, total = np.empty_like(t), 0.0
    for first in range(0, len(x), batch_size):
        batch = slice(first, first + batch_size)
        with overflows():
            a = network.logits(prepare(x[batch]))
            y[batch] = network.output.forward(a)
            total += head.value(a, t[batch]) * len(a)
    return total / len(x), y


def _check(network: MLP, x: Array, t: Array, batch_size: int) -> None:
    shape = (len(x), network.sizes[-1])
    require(np.shape(t) == shape, "t", str(shape), np.shape(t))
    require(len(x) >= 1, "x", "at least one sample", "none")
    require(batch_size >= 1, "batch_size", "at least 1", batch_size)
