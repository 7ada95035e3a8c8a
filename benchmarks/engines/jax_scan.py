"""JAX: a whole epoch compiled, a scan over its batches that updates the parameters in place."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engines.cases import BATCH, BETA1, BETA2, EPS, Array, Data, Training

Tree = Any  # nested lists and tuples of arrays


def logits(parameters: Tree, x: jax.Array) -> jax.Array:
    """Return (batch, outputs) for inputs (batch, inputs)."""
    *hidden, (W, b) = parameters
    for V, c in hidden:
        x = jax.nn.relu(x @ V + c)
    return x @ W + b


def mean_loss(parameters: Tree, x: jax.Array, t: jax.Array) -> jax.Array:
    """Return the cross-entropy of the softmax of the logits."""
    logs = jax.nn.log_softmax(logits(parameters, x))
    return -jnp.mean(logs[jnp.arange(len(t)), t])


def sgd(lr: float, parameters: Tree, state: Tree, gradients: Tree) -> tuple[Tree, Tree]:
    """Return the parameters after a step; there is no state."""
    return jax.tree.map(lambda w, g: w - lr * g, parameters, gradients), state


def adam(lr: float, parameters: Tree, state: Tree, gradients: Tree) -> tuple[Tree, Tree]:
    """Return the parameters and the state after a step."""
    m, v, k = state
    k = k + 1
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradients)
    rate = lr * jnp.sqrt(1 - BETA2**k) / (1 - BETA1**k)
    step = partial(jax.tree.map, lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPS))
    return step(parameters, m, v), (m, v, k)


class Trainer:
    """Training; the first epoch compiles it."""

    def __init__(self, case: Training, data: Data, threads: int) -> None:
        self.data = data
        # Bytes that are gathered and then cast are a little faster than floats, as in NumPy.
        self.samples = jnp.asarray(data.x), jnp.asarray(data.t.astype(np.int32))
        parameters = jax.tree.map(jnp.asarray, case.first_weights())
        zeros = partial(jax.tree.map, jnp.zeros_like, parameters)
        state = () if case.optimizer == "sgd" else (zeros(), zeros(), jnp.float32(0))
        self.carried = parameters, state
        update = partial({"sgd": sgd, "adam": adam}[case.optimizer], case.lr)

        def steps(carried: Tree, order: jax.Array, x: jax.Array, t: jax.Array) -> Tree:
            def step(carried: Tree, chosen: jax.Array) -> tuple[Tree, jax.Array]:
                parameters, state = carried
                inputs = x[chosen].astype(jnp.float32) * jnp.float32(1 / 255)
                loss, gradients = jax.value_and_grad(mean_loss)(parameters, inputs, t[chosen])
                return update(parameters, state, gradients), loss

            return jax.lax.scan(step, carried, order)

        self.steps = jax.jit(steps, donate_argnums=0)

    def epoch(self, order: Array) -> None:
        """Visit every sample once."""
        batches = jnp.asarray(order.astype(np.int32).reshape(-1, BATCH))
        self.carried, losses = self.steps(self.carried, batches, *self.samples)
        losses.block_until_ready()

    def labels(self) -> Array:
        """Return the labels of the test images."""
        return logits(self.carried[0], self.data.test_inputs).argmax(axis=1)
