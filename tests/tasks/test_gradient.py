import re

import numpy as np
import pytest
from scipy import special

from runner.config import Choice, Config, Dataset, Network, Weights
from runner.lookup import BadInput
from runner.nn.activations import pair
from runner.tasks import gradient
from runner.tasks.setup import build

W = [[0.47355232, 0.9977393, 0.84668094], [0.85557411, 0.03563661, 0.69422093]]
INLINE = Weights("inline", {"W1": W, "b1": [0, 0, 0]})


def made(dataset=None, hidden=(), weights=None, **changes):
    options = {
        "activation": Choice("sigmoid"),
        "output": Choice("softmax"),
        "loss": Choice("cross_entropy", {"delta": 0}),
        "dtype": "float64",
    }
    return build(
        Config(
            task=Choice("gradient"),
            dataset=dataset or Dataset("digits", limit=10),
            network=Network(list(hidden)),
            optimizer=Choice("sgd", {"lr": 0.1}),
            schedule=Choice("constant"),
            init=Choice("auto"),
            weights=weights or Weights("none"),
            **options | changes,
        )
    )


def simple_net(delta):
    dataset = Dataset("inline", {"x": [[0.6, 0.9]], "t": [2]})
    loss = Choice("cross_entropy", {"delta": delta})
    return gradient.run(made(dataset, weights=INLINE, loss=loss))


def test_book_simple_network():
    records = simple_net(1e-7)
    assert records.result == {"test_loss": pytest.approx(0.9280682858, abs=1e-10), "n": 1}
    assert list(records.arrays)[:4] == ["dW1", "db1", "numerical_dW1", "numerical_db1"]
    published = [0.21924757, 0.14356243, -0.36281]
    np.testing.assert_allclose(records.arrays["numerical_dW1"][0], published, rtol=0, atol=1e-8)
    # Back-propagation is that of the exact loss, which the book's delta changes by 2.5e-7 of it.
    exact = np.outer((0.6, 0.9), special.softmax(np.array([0.6, 0.9]) @ W) - [0, 0, 1])
    np.testing.assert_allclose(records.arrays["dW1"], exact, rtol=1e-14)
    np.testing.assert_allclose(records.arrays["dW1"][0], published, rtol=0, atol=1e-7)
    assert 1e-7 < records.arrays["difference"] < 1e-6


def test_without_delta_nothing_is_between_them():
    records = simple_net(0)
    assert records.result["test_loss"] == pytest.approx(0.9280685387, abs=1e-10)
    assert records.arrays["difference"] < 1e-8


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("output", "loss"),
    [("softmax", "cross_entropy"), ("sigmoid", "cross_entropy"), ("identity", "sum_squares")],
)
def test_both_gradients_of_a_deep_network_agree(output, loss, dtype):
    params = {"delta": 0} if loss == "cross_entropy" else {}
    setup = made(hidden=(6, 5), output=Choice(output), loss=Choice(loss, params), dtype=dtype)
    before = setup.network.parameters.copy()
    records = gradient.run(setup)
    # The numerical side is float64 always, so float32 is measured by it and not by itself.
    assert records.arrays["difference"] < {"float64": 1e-7, "float32": 1e-5}[dtype]
    assert records.result["n"] == 10
    for number, shape in enumerate([(64, 6), (6, 5), (5, 10)], start=1):
        for name in (f"dW{number}", f"numerical_dW{number}"):
            assert records.arrays[name].shape == shape
            assert np.abs(records.arrays[name]).max() > 1e-4
        assert records.arrays[f"dW{number}"].dtype == dtype
        assert records.arrays[f"numerical_dW{number}"].dtype == np.float64
    np.testing.assert_array_equal(setup.network.parameters, before)


def test_a_wrong_slope_is_seen(monkeypatch):
    setup = made(hidden=(6,))
    activation = setup.network.activations[0]
    setup.network.activations[0] = pair(activation.forward, lambda a: 1.01 * activation.slope(a))
    assert gradient.run(setup).arrays["difference"] > 1e-4


def test_the_split_and_its_limit_are_the_batch():
    setup = made(Dataset("digits", limit=3, split="train"), hidden=(2,))
    train = setup.split("train")
    records = gradient.run(setup)
    assert records.result["n"] == 3
    y = setup.network.forward(setup.prepare(train.x))
    loss = -np.log(y[np.arange(3), train.t]).mean()
    assert records.result["test_loss"] == pytest.approx(loss, rel=1e-12)


def test_a_regression_has_a_gradient_too():
    settings = {"output": Choice("identity"), "loss": Choice("sum_squares")}
    setup = made(Dataset("curve", limit=20), hidden=(4,), activation=Choice("tanh"), **settings)
    assert gradient.run(setup).arrays["difference"] < 1e-7


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([3.0, 4.0], [3.0, 4.0], 0.0),
        ([3.0, 4.0], [0.0, 0.0], 1.0),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([6.0, 8.0], [3.0, 4.0], 0.5),
        ([1.0, 0.0], [-1.0, 0.0], 2.0),
    ],
)
def test_difference_is_relative_to_the_longer_one(first, second, expected):
    lists = ([np.array(array[:1]), np.array(array[1:])] for array in (first, second))
    assert gradient.difference(*lists) == expected


def test_progress_names_each_array():
    seen = []
    gradient.run(made(hidden=(2,)), lambda *call: seen.append(call))
    names = ["dW1", "db1", "dW2", "db2"]
    assert seen == [(done, 4, f"numerical {name}") for done, name in enumerate(names)]


def test_samples_without_labels_have_no_gradient():
    gradient.check(made())
    setup = made(Dataset("inline", {"x": [[0.6, 0.9]]}), weights=INLINE)
    message = "dataset: expected samples with labels or targets, got none"
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        gradient.check(setup)
