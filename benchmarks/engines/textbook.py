"""The layers of the book (Deep Learning from Scratch, ch. 5 and 6) as it writes them."""

import numpy as np

from engines.cases import BATCH, BETA1, BETA2, EPS, Array, Data, Training


class Affine:
    """a = x W + b (book 5.6.2)."""

    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = W, b

    def forward(self, x: Array) -> Array:
        """Return the sums."""
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dout: Array) -> Array:
        """Return the gradient in x."""
        dx = np.dot(dout, self.W.T)
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return dx


class Relu:
    """max(x, 0) (book 5.5.1)."""

    def forward(self, x: Array) -> Array:
        """Return the positive part."""
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout: Array) -> Array:
        """Return the gradient in x."""
        dout[self.mask] = 0
        return dout


class SoftmaxWithLoss:
    """Softmax and cross-entropy (book 5.6.3)."""

    def forward(self, x: Array, t: Array) -> float:
        """Return the mean loss."""
        x = x - np.max(x, axis=1, keepdims=True)
        self.y = np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True)
        self.t = t
        labels = t.argmax(axis=1)
        return -np.sum(np.log(self.y[np.arange(len(t)), labels] + 1e-7)) / len(t)

    def backward(self) -> Array:
        """Return the gradient in x."""
        return (self.y - self.t) / len(self.t)


class SGD:
    """w ← w - lr g (book 6.1.2)."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        """Take one step."""
        for key in params:
            params[key] -= self.lr * grads[key]


class Adam:
    """First and second moments of the gradient (book 6.1.6)."""

    def __init__(self, lr: float) -> None:
        self.lr, self.iter = lr, 0
        self.m: dict[str, Array] = {}
        self.v: dict[str, Array] = {}

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        """Take one step."""
        if not self.m:
            self.m = {key: np.zeros_like(value) for key, value in params.items()}
            self.v = {key: np.zeros_like(value) for key, value in params.items()}
        self.iter += 1
        lr = self.lr * float(np.sqrt(1 - BETA2**self.iter) / (1 - BETA1**self.iter))
        for key in params:
            self.m[key] += (1 - BETA1) * (grads[key] - self.m[key])
            self.v[key] += (1 - BETA2) * (grads[key] ** 2 - self.v[key])
            params[key] -= lr * self.m[key] / (np.sqrt(self.v[key]) + EPS)


class Trainer:
    """The book's two-layer network (5.7.2) and its training (5.7.4), for any number of layers."""

    def __init__(self, case: Training, data: Data, threads: int) -> None:
        self.data = data
        self.affines = [Affine(W, b) for W, b in case.first_weights()]
        self.layers = [layer for affine in self.affines for layer in (affine, Relu())][:-1]
        self.last = SoftmaxWithLoss()
        self.optimizer = {"sgd": SGD, "adam": Adam}[case.optimizer](case.lr)
        self.params = {f"W{i}": affine.W for i, affine in enumerate(self.affines, start=1)}
        self.params |= {f"b{i}": affine.b for i, affine in enumerate(self.affines, start=1)}

    def epoch(self, order: Array) -> None:
        """Visit every sample once."""
        for i in range(0, len(order), BATCH):
            batch = order[i : i + BATCH]
            gradients = self.gradient(self.data.inputs[batch], self.data.one_hot[batch])
            self.optimizer.update(self.params, gradients)

    def gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradient of the loss in every parameter, by name."""
        self.last.forward(self.predict(x), t)
        dout = self.last.backward()
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        gradients = {f"W{i}": affine.dW for i, affine in enumerate(self.affines, start=1)}
        return gradients | {f"b{i}": affine.db for i, affine in enumerate(self.affines, start=1)}

    def predict(self, x: Array) -> Array:
        """Return the logits."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def labels(self) -> Array:
        """Return the labels of the test images."""
        return self.predict(self.data.test_inputs).argmax(axis=1)
