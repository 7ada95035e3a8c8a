import itertools
import re
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.datasets import load_digits
from sklearn.linear_model import Perceptron

from runner.data import DATASETS
from runner.nn import perceptron as module
from runner.nn.checks import NeuralNetworkError
from runner.nn.perceptron import BLOCK, perceptron
from runner.nn.training import Diverged

X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
AND, NAND, OR, XOR = ([0, 0, 0, 1], [1, 1, 1, 0], [0, 1, 1, 1], [0, 1, 1, 0])


def learn(x, t, w=None, dtype=np.float64, **options):
    """All passes of the rule, from weights 0 where none are given; one output for a flat t."""
    x, t = np.asarray(x), np.asarray(t)
    t = t[:, None] if t.ndim == 1 else t
    w = np.zeros((1 + x.shape[1], t.shape[1]), dtype) if w is None else w
    defaults = {"lr": 1.0, "gamma": 0.01, "max_passes": 100, "average": False, "rng": None}
    return list(perceptron(x, t, w, **{**defaults, **options}))


def plain_loop(x, t, w, orders, lr=1.0):
    """The rule as it is written: (mistakes, weights, mean weights) after each pass."""
    x, w, seen = np.column_stack([np.ones(len(x), x.dtype), x]), w.copy(), []
    made = []
    for order in orders:
        mistakes = 0
        for i in order:
            errors = t[i] - (x[i] @ w > 0)
            w += lr * np.outer(x[i], errors)
            mistakes += np.count_nonzero(errors)
            seen.append(w.copy())
        made.append((mistakes, w.copy(), np.mean(seen, axis=0)))
    return made


def given_order(x, passes):
    return [range(len(x))] * passes


@pytest.fixture(scope="module")
def digits():
    """1,797 images of whole numbers from 0 to 16, and one-hot labels."""
    x, t = load_digits(return_X_y=True)
    return x, np.eye(10)[t]


@pytest.mark.parametrize(
    ("t", "passes", "w"),
    [
        pytest.param(AND, 6, [-2, 1, 2], id="and"),
        pytest.param(NAND, 6, [3, -1, -2], id="nand"),
        pytest.param(OR, 4, [0, 1, 1], id="or"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_book_gates(t, passes, w, dtype):
    records = learn(X, t, dtype=dtype)
    assert [record.epoch for record in records] == list(range(1, passes + 1))
    np.testing.assert_array_equal(records[-1].w[:, 0], w)
    assert records[-1].w.dtype == dtype
    assert [record.converged for record in records] == [False] * (passes - 1) + [True]
    assert records[-1].error == 0
    np.testing.assert_array_equal(X @ records[-1].w[1:, 0] + records[-1].w[0] > 0, t)


def test_book_xor_never_converges():
    records = learn(X, XOR)
    assert [record.error for record in records] == [0.5, 0.75] + [1.0] * 98
    assert not any(record.converged for record in records)
    assert records[-1].updates == 2 + 3 + 4 * 98


def separable(t):
    """Whether a line separates the classes, by linear programming."""
    side = 2 * np.array(t) - 1
    constraints = -side[:, None] * np.column_stack([np.ones(4), X])
    return linprog(np.zeros(3), constraints, -np.ones(4), bounds=(None, None)).status == 0


def test_converges_for_the_14_separable_functions_of_two_inputs():
    functions = list(itertools.product([0, 1], repeat=4))
    converged = [learn(X, t)[-1].converged for t in functions]
    assert converged == [separable(t) for t in functions]
    assert (len(functions), sum(converged)) == (16, 14)


def assert_equal_passes(records, expected, column=1):
    mistakes = np.diff([0, *(record.updates for record in records)])
    assert mistakes.tolist() == [made[0] for made in expected]
    for record, made in zip(records, expected, strict=True):
        np.testing.assert_array_equal(record.w, made[column])


@pytest.mark.parametrize("n", [1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 7])
@pytest.mark.parametrize("outputs", [1, 3])
def test_equals_the_plain_loop_on_whole_numbers(n, outputs):
    rng = np.random.default_rng(n)
    x = rng.integers(-9, 10, (n, 4)).astype(float)
    t = rng.integers(0, 2, (n, outputs)).astype(float)
    expected = plain_loop(x, t, np.zeros((5, outputs)), given_order(x, 4))
    assert_equal_passes(learn(x, t, gamma=1e-9, max_passes=4), expected[: passes_until_0(expected)])


def passes_until_0(expected):
    """The passes up to the first without a mistake, where the rule stops."""
    return next((i + 1 for i, made in enumerate(expected) if made[0] == 0), len(expected))


def test_equals_the_plain_loop_on_digits(digits):
    x, t = digits
    expected = plain_loop(x, t, np.zeros((65, 10)), given_order(x, 3))
    assert_equal_passes(learn(x, t, gamma=1e-9, max_passes=3), expected)


def test_equals_the_plain_loop_from_given_weights(digits):
    x, t = digits
    w = np.random.default_rng(0).integers(-50, 50, (65, 10)).astype(float)
    kept = w.copy()
    expected = plain_loop(x, t, w, given_order(x, 2), lr=0.5)
    assert_equal_passes(learn(x, t, w, lr=0.5, gamma=1e-9, max_passes=2), expected)
    np.testing.assert_array_equal(w, kept)


@pytest.mark.parametrize("kept", [0, 100_000, module.KEPT])
@pytest.mark.parametrize("passes", [1, 4])
def test_what_is_kept_for_the_next_pass_changes_nothing(digits, monkeypatch, kept, passes):
    x, t = digits
    monkeypatch.setattr(module, "KEPT", kept)
    expected = plain_loop(x, t, np.zeros((65, 10)), given_order(x, passes))
    assert_equal_passes(learn(x, t, gamma=1e-9, max_passes=passes), expected)


@pytest.mark.parametrize("average", [False, True])
def test_equals_the_plain_loop_in_shuffled_orders(digits, average):
    # 1,024 samples, so that the mean over a power of two of whole numbers is exact.
    x, t = digits[0][:1024], digits[1][:1024]
    rng = np.random.default_rng(7)
    orders = [rng.permutation(len(x)) for _ in range(4)]
    expected = plain_loop(x, t, np.zeros((65, 10)), orders)
    options = {"rng": np.random.default_rng(7), "average": average}
    records = learn(x, t, gamma=1e-9, max_passes=2, **options)
    assert_equal_passes(records, expected[:2], column=1 + average)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_that_are_0_in_a_block_or_in_all_samples(dtype):
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 10, (3 * BLOCK, 6)).astype(np.int8)
    x[:, 0] = x[:BLOCK, 2] = x[BLOCK : 2 * BLOCK] = 0
    t, w = rng.integers(0, 2, (len(x), 2)), rng.integers(-9, 10, (7, 2)).astype(dtype)
    expected = plain_loop(x.astype(float), t, w.astype(float), given_order(x, 3))
    assert_equal_passes(learn(x, t, w, gamma=1e-9, max_passes=3), expected)


@pytest.mark.parametrize("scale", [1 / 16, 4.0])
@pytest.mark.parametrize("rng", [None, 5])
def test_scale_is_a_factor_of_the_inputs(digits, scale, rng):
    # Powers of two, so that the scaled inputs of the plain loop are exact too.
    x, t = digits
    w = np.random.default_rng(0).integers(-50, 50, (65, 10)).astype(float)
    draw = np.random.default_rng(rng).permutation
    orders = [range(len(x)) if rng is None else draw(len(x)) for _ in range(2)]
    expected = plain_loop(scale * x, t, w, orders, lr=0.5)
    options = {"rng": None if rng is None else np.random.default_rng(rng), "scale": scale}
    records = learn(x.astype(np.uint8), t, w, lr=0.5, gamma=1e-9, max_passes=2, **options)
    assert_equal_passes(records, expected)


def test_bytes_are_learned_without_rounding():
    # Many of these scores are 0, unless 1/255 has been rounded. The plain loop has Python's
    # numbers throughout: what a product of floats rounds to differs from machine to machine.
    rng = np.random.default_rng(2)
    x, t = rng.integers(0, 3, (200, 3)).astype(np.uint8), rng.integers(0, 2, (200, 1))
    fractions = x.astype(object) * Fraction(1, 255)
    exact, rounded = (
        plain_loop(inputs, t, np.zeros((4, 1), object), given_order(x, 3), lr=1)
        for inputs in (fractions, (x / 255).astype(object))
    )
    assert [made[0] for made in exact] == [100, 92, 98]
    assert [made[0] for made in rounded] == [88, 82, 88]
    records = learn(x, t, gamma=1e-9, max_passes=3, scale=1 / 255)
    assert [r.updates for r in records] == np.cumsum([made[0] for made in exact]).tolist()
    np.testing.assert_allclose(records[-1].w, exact[-1][1].astype(float), rtol=1e-15)


def test_memory_is_bounded(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (20_000, 100)).astype(np.uint8)
    t = rng.integers(0, 2, (20_000, 1))

    def peak(kept):
        monkeypatch.setattr(module, "KEPT", kept)
        tracemalloc.start()
        learn(x, t, max_passes=2)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    # All blocks: their samples as bytes, and 48 products in float64 for each sample.
    enough, all_blocks = module.KEPT, x.nbytes + len(x) * BLOCK * 8
    least = peak(0)
    assert least < 0.1 * all_blocks
    assert peak(1_000_000) - least < 1_100_000
    assert all_blocks < peak(enough) - least < 1.2 * all_blocks


def test_average_equals_the_mean_over_all_steps():
    # 64 samples, so that the mean over a power of two of whole numbers is exact.
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 10, (64, 4)).astype(float)
    t = rng.integers(0, 2, (64, 3)).astype(float)
    records = learn(x, t, gamma=1e-9, max_passes=2, average=True)
    assert_equal_passes(records, plain_loop(x, t, np.zeros((5, 3)), given_order(x, 2)), column=2)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-6), (np.float64, 1e-13)])
def test_average_on_digits(digits, dtype, rtol):
    x, t = digits
    expected = plain_loop(x, t, np.zeros((65, 10)), given_order(x, 3))
    records = learn(x, t, dtype=dtype, gamma=1e-9, max_passes=3, average=True)
    assert records[-1].w.dtype == dtype
    np.testing.assert_allclose(records[-1].w, expected[-1][2], rtol=rtol)


def scikit_learn(x, labels, w, passes):
    """Its weights as (1 + inputs, outputs).

    It corrects also a score of 0 of class 0, which this rule leaves alone. First
    weights at random, or of one half beside whole numbers, keep clear of a score of
    exactly 0, and so of that difference.
    """
    peer = Perceptron(shuffle=False, max_iter=passes, tol=None)
    # It learns in the array of the first biases.
    peer.fit(x, labels, coef_init=w[1:].T, intercept_init=w[0].copy())
    return np.vstack([peer.intercept_, peer.coef_.T])


def test_equals_scikit_learn_on_two_classes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    t = (x @ [1, -2, 0.5, 1] + rng.normal(0, 0.5, 300) > 0).astype(int)
    w = rng.normal(size=(5, 1))
    record = learn(x, t, w, max_passes=7)[-1]
    assert record.epoch == 7
    np.testing.assert_allclose(record.w, scikit_learn(x, t, w, 7), rtol=1e-11)


@pytest.mark.parametrize("passes", [1, 5])
def test_equals_scikit_learn_one_against_the_rest(digits, passes):
    x, t = digits
    w = np.random.default_rng(1).normal(size=(65, 10))
    record = learn(x, t, w, gamma=1e-9, max_passes=passes)[-1]
    expected = scikit_learn(x, t.argmax(axis=1), w, passes)
    np.testing.assert_allclose(record.w, expected, rtol=1e-10, atol=1e-10)


def first_biases_of_one_half(inputs):
    w = np.zeros((1 + inputs, 10))
    w[0] = 0.5
    return w


@pytest.mark.parametrize("passes", [1, 6])
def test_has_the_weights_of_scikit_learn_on_digits(digits, passes):
    x, t = digits
    w = first_biases_of_one_half(64)
    record = learn(x, t, w, gamma=1e-9, max_passes=passes)[-1]
    np.testing.assert_array_equal(record.w, scikit_learn(x, t.argmax(axis=1), w, passes))


@pytest.mark.parametrize("passes", [1, 6])
def test_has_the_weights_of_scikit_learn_on_mnist(mnist_dir, passes):
    mnist = DATASETS["mnist"](data_dir=mnist_dir)
    x, labels = mnist.x[:2000].reshape(-1, 784), mnist.t[:2000]
    w = first_biases_of_one_half(784)
    record = learn(x, np.eye(10)[labels], w, gamma=1e-9, max_passes=passes)[-1]
    np.testing.assert_array_equal(record.w, scikit_learn(x.astype(float), labels, w, passes))


def test_error_is_counted_during_the_pass():
    # After the second pass of OR other samples are wrong than while it went on.
    second = learn(X, OR)[1]
    wrong_after = ((X @ second.w[1:, 0] + second.w[0] > 0) != OR).mean()
    assert (second.error, wrong_after) == (0.5, 0.25)


def test_error_is_the_mean_over_samples_and_outputs():
    alone = [learn(X, t, max_passes=2)[-1] for t in (AND, OR)]
    both = learn(X, np.column_stack([AND, OR]), max_passes=2)[-1]
    assert both.error == (alone[0].error + alone[1].error) / 2
    assert both.updates == alone[0].updates + alone[1].updates
    np.testing.assert_array_equal(both.w, np.hstack([record.w for record in alone]))


@pytest.mark.parametrize("lr", [0.5, 0.1, 0.01, 3.7])
@pytest.mark.parametrize("t", [AND, NAND, OR, XOR])
def test_learning_rate_scales_the_weights_alone(t, lr):
    # Adding up multiples of 0.1 as they stand, NAND ends after 4 passes at [0.2, -0.1, -0.2].
    full, scaled = learn(X, t), learn(X, t, lr=lr)
    np.testing.assert_allclose(scaled[-1].w, full[-1].w * lr, rtol=1e-15)
    assert [r.updates for r in scaled] == [r.updates for r in full]


def test_gamma_above_the_error_stops_early():
    records = learn(X, XOR, gamma=0.6)
    assert len(records) == 1
    assert records[0].converged


def test_gamma_itself_is_not_below():
    assert not learn(X, XOR, gamma=0.5, max_passes=1)[0].converged


def test_records_keep_the_weights_of_their_pass():
    records = learn(X, AND)
    assert len({tuple(record.w[:, 0]) for record in records[:-1]}) > 1


@pytest.mark.parametrize(
    ("x", "t", "w", "message"),
    [
        (X, [[0], [0], [1]], np.zeros((3, 1)), "t: expected (4, 1), got (3, 1)"),
        (X, [0, 0, 0, 1], np.zeros((3, 1)), "t: expected (4, 1), got (4,)"),
        (X, [[-1], [-1], [-1], [1]], np.zeros((3, 1)), "t: expected classes 0 and 1, got [-1, 1]"),
        (X[:0], np.zeros((0, 1)), np.zeros((3, 1)), "x: expected at least one sample, got none"),
        (X[:, :1], np.zeros((4, 1)), np.zeros((3, 1)), "x: expected (4, 2), got (4, 1)"),
        (
            X,
            np.zeros((4, 1)),
            np.zeros(3),
            "w: expected (1 + inputs, outputs) of float32 or float64, got (3,) of float64",
        ),
        (
            X,
            np.zeros((4, 1)),
            np.zeros((3, 1), int),
            "w: expected (1 + inputs, outputs) of float32 or float64, got (3, 1) of int64",
        ),
    ],
)
def test_bad_samples(x, t, w, message):
    options = {"lr": 1.0, "gamma": 0.01, "max_passes": 1, "average": False, "rng": None}
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        next(perceptron(x, np.array(t), w, **options))


@pytest.mark.parametrize("lr", [np.nan, 0, -1, 1e-50, 1e50])
def test_bad_learning_rate(lr):
    bounds = ">= 1.17549e-38 and < 3.40282e+38"
    message = f"lr: expected a finite number {bounds}, got {lr!r}"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        learn(X, AND, dtype=np.float32, lr=lr)


@pytest.mark.parametrize("scale", [np.nan, 0, -1, 1e-40])
def test_bad_scale(scale):
    bounds = ">= 1.17549e-38 and < 3.40282e+38"
    message = f"lr * scale: expected a finite number {bounds}, got {scale * 1.0!r}"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        learn(X, AND, dtype=np.float32, scale=scale)


def test_overflow_is_reported_and_not_learned():
    x = np.full((4, 2), 1e30)
    with pytest.raises(Diverged, match=r"^a score of the perceptron is not finite$"):
        learn(x, XOR, dtype=np.float32)
    with pytest.raises(Diverged, match=r"^pass 1: weights are not finite$"):
        learn(x * 1e-12, AND, dtype=np.float32, lr=1e30)
    with pytest.raises(Diverged, match=r"^a score of the perceptron is not finite$"):
        learn(x * 1e-15, AND, np.full((3, 1), 1e30, np.float32))


@pytest.mark.parametrize("options", [{"lr": 1e-30}, {"lr": 1e30, "scale": 1e-60}])
def test_overflow_before_the_first_pass_is_reported_without_a_warning(options):
    # The weights in units of lr * scale, and the input of the bias, 1 / scale
    with pytest.raises(Diverged, match=r"^a score of the perceptron is not finite$"):
        learn(X, AND, np.full((3, 1), 1e30, np.float32), **options)
