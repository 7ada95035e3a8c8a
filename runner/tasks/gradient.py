"""Back-propagation beside the numerical gradient of the same loss (book ch. 4.4.2, 5.7.3)."""

from collections.abc import Iterable, Sequence

import numpy as np

from runner.lookup import BadInput
from runner.nn.backpropagation import Backpropagation
from runner.nn.mlp import MLP
from runner.nn.numerical import gradient
from runner.tasks.records import Progress, Records, no_progress
from runner.tasks.setup import Array, Setup


def check(setup: Setup) -> None:
    """Check that there is a loss to differentiate; raise BadInput where there is none."""
    if setup.dataset.t is None:
        raise BadInput("dataset", "samples with labels or targets", "none")


def run(setup: Setup, progress: Progress = no_progress) -> Records:
    """Return both gradients of the loss in every weight, and how far they are apart.

    The batch is the whole split, so ``dataset.limit`` bounds it. The arrays
    are ``dW1``, ``db1``, ... by back-propagation, ``numerical_dW1``, ... by
    central differences, always in float64, and ``difference``, the number
    |d - numerical| / max(|d|, |numerical|) over all weights.
    """
    split = setup.split(setup.config.dataset.split)
    x, t, network = setup.prepare(split.x), np.asarray(split.targets), setup.network
    propagate = Backpropagation(network, setup.head)
    loss = propagate(np.column_stack([x, np.ones(len(x), x.dtype)]), t)
    backward = named([dWb[:-1] for dWb in propagate.dWb], [dWb[-1] for dWb in propagate.dWb])
    numerical = differences(setup, x, t, progress)
    arrays = backward | {f"numerical_{name}": array for name, array in numerical.items()}
    arrays["difference"] = np.array(difference(backward.values(), numerical.values()))
    return Records(result={"test_loss": loss, "n": len(x)}, arrays=arrays)


def differences(setup: Setup, x: Array, t: Array, progress: Progress) -> dict[str, Array]:
    """Return the gradient of the mean loss in each weight by central differences."""
    given = setup.network
    network = MLP(given.sizes, given.activations, given.output, np.float64)
    network.parameters[...] = given.parameters
    x, t = x.astype(np.float64), t.astype(np.float64)
    weights, found = named(network.W, network.b), {}
    for done, (name, array) in enumerate(weights.items()):
        progress(done, len(weights), f"numerical {name}")
        kept = array.copy()

        def loss(values: Array, array: Array = array) -> float:
            array[...] = values
            return setup.head.value(network.logits(x), t)

        found[name] = gradient(loss, kept)
        array[...] = kept
    return found


def named(dW: Sequence[Array], db: Sequence[Array]) -> dict[str, Array]:
    """Return arrays of the weights' shapes by the book's names dW1, db1, dW2, ..."""
    layers = enumerate(zip(dW, db, strict=True), start=1)
    return {name: array for i, (W, b) in layers for name, array in ((f"dW{i}", W), (f"db{i}", b))}


def difference(first: Iterable[Array], second: Iterable[Array]) -> float:
    """Return the distance of two lists of arrays relative to the longer one; 0 for all zero."""
    one, other = (np.concatenate([array.ravel() for array in arrays]) for arrays in (first, second))
    longer = max(np.linalg.norm(one), np.linalg.norm(other))
    return float(np.linalg.norm(one - other) / longer) if longer else 0.0
