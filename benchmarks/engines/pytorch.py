"""PyTorch, eager."""

import torch
from torch.nn.functional import cross_entropy

from engines.cases import BATCH, BETA1, BETA2, EPS, Array, Data, Inference, Training


def network(weights: list[tuple[Array, Array]], threads: int) -> torch.nn.Sequential:
    """Return the layers with the given weights, ReLU between them."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # Adam's moments become denormal, which is slow
    layers: list[torch.nn.Module] = []
    for W, b in weights:
        linear = torch.nn.Linear(*W.shape)
        linear.weight.data = torch.from_numpy(W.T.copy())
        linear.bias.data = torch.from_numpy(b.copy())
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


class Trainer:
    """Training with PyTorch's optimizers, parameter by parameter as is the default on a CPU."""

    fused = False

    def __init__(self, case: Training, data: Data, threads: int) -> None:
        self.network = network(case.first_weights(), threads)
        self.x, self.t = torch.from_numpy(data.inputs), torch.from_numpy(data.t)
        self.test_inputs = torch.from_numpy(data.test_inputs)
        parameters = self.network.parameters()
        if case.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(parameters, lr=case.lr, fused=self.fused)
        else:
            self.optimizer = torch.optim.Adam(
                parameters, lr=case.lr, betas=(BETA1, BETA2), eps=EPS, fused=self.fused
            )

    def epoch(self, order: Array) -> None:
        """Visit every sample once."""
        for chosen in torch.from_numpy(order).split(BATCH):
            # Faster than self.x[chosen] by a tenth on small networks.
            x, t = self.x.index_select(0, chosen), self.t.index_select(0, chosen)
            self.optimizer.zero_grad()
            loss = cross_entropy(self.network(x), t)
            loss.backward()
            self.optimizer.step()

    def labels(self) -> Array:
        """Return the labels of the test images."""
        with torch.inference_mode():
            return self.network(self.test_inputs).argmax(1).numpy()


class Classifier:
    """From bytes to labels."""

    def __init__(self, case: Inference, data: Data, threads: int) -> None:
        self.network = network(case.weights(), threads)
        self.batches = [torch.from_numpy(images) for images in case.batches(data)]

    def labels(self) -> list[Array]:
        """Return the labels of each batch."""
        with torch.inference_mode():
            return [self.network(x.float().div_(255)).argmax(1).numpy() for x in self.batches]
