"""The book's training as printed: NumPy's float64 weights, and the loss once more in each step."""

import numpy as np

from engines import textbook
from engines.cases import BATCH, Array, Data, Training


class Trainer(textbook.Trainer):
    """Training (book 5.7.4)."""

    def __init__(self, case: Training, data: Data, threads: int) -> None:
        super().__init__(case, data, threads)
        for i, affine in enumerate(self.affines, start=1):
            affine.W, affine.b = affine.W.astype(np.float64), affine.b.astype(np.float64)
            self.params |= {f"W{i}": affine.W, f"b{i}": affine.b}

    def epoch(self, order: Array) -> None:
        """Visit every sample once; record the loss after each step."""
        self.losses = []
        for i in range(0, len(order), BATCH):
            batch = order[i : i + BATCH]
            x, t = self.data.inputs[batch], self.data.one_hot[batch]
            self.optimizer.update(self.params, self.gradient(x, t))
            self.losses.append(self.last.forward(self.predict(x), t))
