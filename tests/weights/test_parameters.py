import hashlib
import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from runner.weights import Weights, WeightsError, from_arrays
from runner.weights.parameters import view

promise = pytest.mark.promise(
    "A weight file from anywhere runs no code, crashes nothing, takes no undeclared memory"
)


def refused(arrays, message):
    with pytest.raises(WeightsError, match=f"^{re.escape('net.npz: ' + message)}$"):
        from_arrays(arrays, "net.npz")


def test_arrays_keep_their_numbers_and_precision(arrays):
    weights = from_arrays(arrays, "net.npz")
    assert weights.sizes == [4, 3, 2]
    assert list(weights.arrays()) == ["W1", "b1", "W2", "b2"]
    for name, array in weights.arrays().items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])


def test_upper_case_biases_get_the_canonical_name(arrays):
    upper = {name.upper(): array for name, array in arrays.items()}
    weights = from_arrays(upper, "net.npz")
    assert weights.digest == from_arrays(arrays, "net.npz").digest
    assert list(weights.arrays()) == ["W1", "b1", "W2", "b2"]


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6.0).reshape(2, 3).astype(">f8"),
        np.arange(12.0).reshape(2, 6)[:, ::2],
        np.frombuffer(np.arange(6.0).tobytes()).reshape(2, 3),
        np.ma.masked_array(np.arange(6.0).reshape(2, 3)),
    ],
    ids=["fortran", "big-endian", "strided", "borrowed", "subclass"],
)
def test_arrays_become_plain_and_own_their_memory(array):
    W = from_arrays({"W1": array, "b1": [0, 0, 0]}, "x").W[0]
    np.testing.assert_array_equal(W, np.asarray(array))
    assert type(W) is np.ndarray
    assert W.dtype.isnative
    assert W.flags.c_contiguous
    assert W.flags.owndata
    assert not np.shares_memory(W, array)


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        ([[1, 2]], "f8"),
        ([[True, False]], "f8"),
        ([[0.5, 1]], "f8"),
        (np.ones((1, 2), "f2"), "f8"),
        (np.ones((1, 2), "u1"), "f8"),
        (np.ones((1, 2), "f4"), "f4"),
        (np.ones((1, 2), ">f4"), "f4"),
    ],
)
def test_other_real_numbers_become_float64(given, dtype):
    W = from_arrays({"W1": given, "b1": [0.0, 0.0]}, "x").W[0]
    assert W.dtype == dtype
    np.testing.assert_array_equal(W, np.asarray(given))


def test_digest_covers_names_dtypes_shapes_and_little_endian_bytes():
    weights = Weights((np.array([[1.0, 2.0]], ">f4"),), (np.array([3.0, 4.0]),))
    expected = hashlib.sha256(
        b"W1 <f4 (1, 2)\n"
        + bytes.fromhex("0000803f00000040")
        + b"b1 <f8 (2,)\n"
        + bytes.fromhex("00000000000008400000000000001040")
    )
    assert weights.digest == expected.hexdigest()


def test_digest_differs_by_shape_and_precision():
    flat = {"W1": np.ones((1, 4)), "b1": np.ones(4)}
    digests = {
        from_arrays(flat, "x").digest,
        from_arrays({"W1": np.ones((4, 1)), "b1": [1.0]}, "x").digest,
        from_arrays({**flat, "W1": np.ones((1, 4), "f4")}, "x").digest,
        from_arrays({**flat, "b1": [1.0, 1.0, 1.0, 2.0]}, "x").digest,
    }
    assert len(digests) == 4


NAMES = "expected W1..Wn with b1..bn or B1..Bn, got "


@promise
@pytest.mark.parametrize(
    ("names", "got"),
    [
        ([], "no arrays"),
        (["W1"], "no b1"),
        (["b1"], "no W1"),
        (["W1", "b1", "W3", "b3"], "no W2, b2"),
        (["W1", "b1", "b2"], "no W2"),
        (["W9999"], "no W1, b1, W2, b2, W3, ..."),
        (["W1", "b1", "B1"], "b1, B1"),
        (["W1", "b1", "W2", "B2"], "b1, B2"),
        (["W1", "b1", "gamma", "running_mean"], "'gamma', 'running_mean'"),
        (["W1", "b1", "W02", "b02"], "'W02', 'b02'"),
        (["W0", "b0"], "'W0', 'b0'"),
        (["w1", "b1"], "'w1'"),
        (["W1\n", "b1"], "'W1\\n'"),
        (["W\u0661", "b1"], "'W\u0661'"),
        (["W1", "b1", "\x1b[31m\ud800"], "'\\x1b[31m\\ud800'"),
        (["W10000"], "'W10000'"),
        ([1, "b1"], "1"),
        (list("abcdefgh"), "'a', 'b', 'c', 'd', 'e', ..."),
    ],
)
def test_names_that_are_no_network_are_listed(names, got):
    refused({name: [[1.0]] for name in names}, NAMES + got)


LAYER = {"W1": [[1.0, 2.0]], "b1": [0.0, 0.0]}


@promise
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"W1": [1.0]}, "W1: expected shape (inputs, outputs), got (1,)"),
        ({"W1": 1.0}, "W1: expected shape (inputs, outputs), got ()"),
        ({"W1": [[[1.0]]]}, "W1: expected shape (inputs, outputs), got (1, 1, 1)"),
        ({"W1": [[]]}, "W1: expected shape (inputs, outputs), got (1, 0)"),
        ({"W1": np.ones((0, 2))}, "W1: expected shape (inputs, outputs), got (0, 2)"),
        ({"b1": [[0.0, 0.0]]}, "b1: expected shape (outputs,), got (1, 2)"),
        ({"b1": []}, "b1: expected shape (outputs,), got (0,)"),
        ({"b1": [0.0]}, "b1: expected 2 numbers, the columns of W1, got 1"),
        (
            {"W2": [[1.0]] * 3, "b2": [1.0]},
            "W2: expected 2 rows, the columns of W1, got 3",
        ),
        ({"W1": [[1.0, 2.0], [3.0]]}, "W1: expected rows of equal length, got ragged ones"),
        ({"W1": [["1", "2"]]}, "W1: expected real numbers, got dtype '<U1'"),
        ({"W1": [[b"1", b"2"]]}, "W1: expected real numbers, got dtype '|S1'"),
        ({"W1": [[1j, 2.0]]}, "W1: expected real numbers, got dtype 'complex128'"),
        ({"W1": [[None, 1.0]]}, "W1: expected real numbers, got dtype 'object'"),
        ({"W1": [[10**400, 1.0]]}, "W1: expected real numbers, got dtype 'object'"),
        ({"W1": {"a": 1}}, "W1: expected real numbers, got dtype 'object'"),
        ({"W1": np.zeros((1, 2), "M8[s]")}, "W1: expected real numbers, got dtype 'datetime64[s]'"),
        (
            {"W1": np.zeros((1, 2), "f4,f4")},
            "W1: expected real numbers, got dtype \"[('f0', '<f4...'f1', '<f4')]\"",
        ),
        ({"W1": [[1.0, np.nan]]}, "W1: expected finite numbers, got nan at [0, 1]"),
        ({"b1": [-np.inf, 0.0]}, "b1: expected finite numbers, got -inf at [0]"),
        ({"b1": np.array([0, np.inf], ">f4")}, "b1: expected finite numbers, got inf at [1]"),
    ],
)
def test_arrays_that_are_no_layer_are_refused(arrays, message):
    refused({**LAYER, **arrays}, message)


@pytest.mark.skipif(np.finfo("g").max == np.finfo("d").max, reason="long double is double here")
def test_numbers_too_large_for_float64_are_refused():
    wide = np.full((1, 2), np.finfo("g").max)
    refused({**LAYER, "W1": wide}, "W1: expected finite numbers, got inf at [0, 0]")


def test_the_name_in_a_message_is_the_one_given():
    refused({"W1": [[1.0]], "B1": [np.nan]}, "B1: expected finite numbers, got nan at [0]")


@promise
def test_what_would_unfold_beyond_the_limit_is_refused_before_it_is_copied():
    wide = np.broadcast_to(np.True_, (2**14, 2**14))
    refused(
        {"W1": wide, "b1": np.broadcast_to(np.True_, 2**14)},
        f"expected at most {2**30} bytes of floating-point numbers, got {2**31 + 2**17}",
    )


def test_self_containing_list_is_refused():
    endless = []
    endless.append(endless)
    refused({"W1": endless, "b1": [1.0]}, "W1: expected rows of equal length, got ragged ones")


@promise
@pytest.mark.parametrize(
    ("size", "dtype", "shape", "message"),
    [
        (4, "<O8", [1], "expected an array of real numbers, got dtype '<O8'"),
        (4, "f4", [1], "expected an array of real numbers, got dtype 'f4'"),
        (4, "=f4", [1], "expected an array of real numbers, got dtype '=f4'"),
        (16, "<f16", [1], "expected an array of real numbers, got dtype '<f16'"),
        (4, "<f4", [2], "expected 8 bytes for shape (2,) of <f4, got 4"),
        (4, "<f4", [], None),
        (4, "<f4", [-1], "expected a matrix or a vector, got shape (-1,)"),
        (0, "<f4", [0], "expected a matrix or a vector, got shape (0,)"),
        (4, "<f4", [True], "expected a matrix or a vector, got shape (True,)"),
        (4, "<f4", [1.0], "expected a matrix or a vector, got shape (1.0,)"),
        (4, "<f4", ["1"], "expected a matrix or a vector, got shape ('1',)"),
        (4, "<f4", [1, 1, 1], "expected a matrix or a vector, got shape (1, 1, 1)"),
        (4, "<f4", [2**62, 4], "expected a matrix or a vector, got shape (4611686018427387904, 4)"),
        (
            4,
            "<f4",
            [2**30, 2**30],
            f"expected {2**62} bytes for shape (1073741824, 1073741824) of <f4, got 4",
        ),
    ],
)
def test_view_needs_plain_numbers_and_exactly_their_bytes(size, dtype, shape, message):
    if message is None:
        assert view(bytes(size), dtype, shape, False, "x").shape == ()
        return
    with pytest.raises(WeightsError, match=f"^x: {re.escape(message)}$"):
        view(bytes(size), dtype, shape, False, "x")


def test_view_follows_byte_order_and_index_order():
    numbers = np.arange(6, dtype=">i2")
    np.testing.assert_array_equal(
        view(numbers.tobytes(), ">i2", [2, 3], True, "x"), [[0, 2, 4], [1, 3, 5]]
    )
    np.testing.assert_array_equal(
        view(numbers.tobytes(), ">i2", [2, 3], False, "x"), [[0, 1, 2], [3, 4, 5]]
    )


def test_a_neuron_may_have_several_columns():
    shapes = {"W1": (4, 6), "b1": 6, "W2": (3, 10), "b2": 10, "W3": (10, 2), "b3": 2}
    weights = from_arrays({name: np.zeros(shape) for name, shape in shapes.items()}, "x")
    assert weights.sizes == [4, 3, 10, 2]
    assert weights.pieces == [2, 1]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", "b1 i1 u1 i2 i4 i8 u2 u4 u8 f2 f4 f8".split())
def test_view_knows_every_real_number(kind, order):
    numbers = np.array([0, 1], np.dtype(kind).newbyteorder(order))
    seen = view(numbers.tobytes(), numbers.dtype.str, [2], False, "x")
    assert seen.dtype == numbers.dtype
    assert seen.tolist() == [0, 1]


def test_weights_are_not_exchanged(arrays):
    weights = from_arrays(arrays, "x")
    with pytest.raises(FrozenInstanceError):
        weights.W = ()
    assert weights.note == ""
