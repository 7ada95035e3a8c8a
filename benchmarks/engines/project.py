"""The project itself, on as many threads as it chooses for itself."""

import numpy as np
from threadpoolctl import threadpool_limits

from engines.cases import (
    BATCH,
    BETA1,
    BETA2,
    EPS,
    SEED,
    Array,
    Data,
    Inference,
    Perceptrons,
    Training,
)
from runner.config import Choice, Config, Network, effective_threads
from runner.nn import activations, losses, optimizers, outputs, schedules
from runner.nn.mlp import MLP, ROWS, Forward
from runner.nn.perceptron import perceptron
from runner.nn.training import fit


def network(weights: list[tuple[Array, Array]], threads: int, task: str, batch: int) -> MLP:
    """Return the network with the given weights, ReLU between its layers."""
    sizes = [len(weights[0][0]), *(len(b) for _, b in weights)]
    choose_threads(sizes[1:-1], threads, task, batch)
    relus = [activations.relu() for _ in sizes[1:-1]]
    made = MLP(sizes, relus, outputs.softmax(), np.float32)
    made.set_weights([W for W, _ in weights], [b for _, b in weights])
    return made


def choose_threads(hidden: list[int], threads: int, task: str, batch: int) -> None:
    """Use one thread for a small network where more are offered, as a run does."""
    config = Config(network=Network(hidden=hidden), task=Choice(task), batch_size=batch)
    threadpool_limits(min(threads, effective_threads(config, in_sweep=False)), user_api="blas")


class Trainer:
    """Training."""

    def __init__(self, case: Training, data: Data, threads: int) -> None:
        self.data = data
        self.network = network(case.first_weights(), threads, "training", BATCH)
        optimizer = {
            "sgd": optimizers.SGD(),
            "adam": optimizers.Adam(beta1=BETA1, beta2=BETA2, eps=EPS),
        }[case.optimizer]
        self.records = fit(
            self.network,
            data.x,
            data.one_hot,
            head=losses.head(losses.cross_entropy(), self.network.output, "softmax"),
            optimizer=optimizer,
            lr=case.lr,
            schedule=schedules.constant(),
            batch_size=BATCH,
            epochs=1 + case.epochs,
            rng=np.random.default_rng(SEED),
            scale=1 / 255,
        )

    def epoch(self, order: Array) -> None:
        """Visit every sample once, in the order given, which is drawn once more from its seed."""
        next(self.records)

    def labels(self) -> Array:
        """Return the labels of the test images."""
        return self.network.logits(self.data.test_inputs).argmax(axis=1)


class Perceptron:
    """Rosenblatt's rule."""

    def __init__(self, case: Perceptrons, data: Data, threads: int) -> None:
        choose_threads([], threads, "perceptron", 1)
        self.passes = perceptron(
            data.x,
            data.one_hot,
            case.first_weights(),
            lr=1.0,
            gamma=0.0,
            max_passes=case.passes,
            average=False,
            rng=None,
        )

    def learn(self) -> Array:
        """Do all passes; return the weights (1 + inputs, outputs), biases first."""
        *_, last = self.passes
        return last.w


class Classifier:
    """From bytes to labels."""

    def __init__(self, case: Inference, data: Data, threads: int) -> None:
        rows = min(case.batch, ROWS)
        made = network(case.weights(), threads, "inference", case.batch)
        self.forward = Forward(made, rows, scale=1 / 255)
        self.batches = case.batches(data)

    def labels(self) -> list[Array]:
        """Return the labels of each batch."""
        return [self.forward(images).argmax(axis=1) for images in self.batches]
