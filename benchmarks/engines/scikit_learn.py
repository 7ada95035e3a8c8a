"""scikit-learn: MLPClassifier, with first weights and an order of its own, and Perceptron."""

import numpy as np
from sklearn import linear_model
from sklearn.neural_network import MLPClassifier

from engines.cases import BATCH, BETA1, BETA2, EPS, SEED, Array, Data, Perceptrons, Training


class Trainer:
    """Training."""

    def __init__(self, case: Training, data: Data, threads: int) -> None:
        self.data = data
        self.network = MLPClassifier(
            case.sizes[1:-1],
            solver=case.optimizer,
            alpha=0,
            batch_size=BATCH,
            learning_rate_init=case.lr,
            random_state=SEED,
            momentum=0,
            beta_1=BETA1,
            beta_2=BETA2,
            epsilon=EPS,
            n_iter_no_change=1_000_000,
        )

    def epoch(self, order: Array) -> None:
        """Visit every sample once, in another order than the one given."""
        self.network.partial_fit(self.data.inputs, self.data.t, classes=np.arange(10))

    def labels(self) -> Array:
        """Return the labels of the test images."""
        return self.network.predict(self.data.test_inputs)


class Perceptron:
    """Rosenblatt's rule."""

    def __init__(self, case: Perceptrons, data: Data, threads: int) -> None:
        self.x, self.t = data.x.astype(np.float64), data.t
        self.first = case.first_weights()
        self.model = linear_model.Perceptron(
            max_iter=case.passes, tol=None, shuffle=False, n_jobs=threads
        )

    def learn(self) -> Array:
        """Do all passes; return the weights (1 + inputs, outputs), biases first."""
        coef, intercept = self.first[1:].T, self.first[0]
        self.model.fit(self.x, self.t, coef_init=coef, intercept_init=intercept)
        return np.vstack([self.model.intercept_, self.model.coef_.T])
