"""PyTorch, eager, its optimizers' updates as one kernel."""

from engines import pytorch


class Trainer(pytorch.Trainer):
    """Training with fused optimizers."""

    fused = True
