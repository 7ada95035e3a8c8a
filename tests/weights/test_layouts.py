"""Names and layouts of other programs: what comes out, in which order, and what is said of it."""

import re

import numpy as np
import pytest

from runner.weights import WeightsError
from runner.weights.layouts import ours


def torch(*shapes, names="01234567"):
    """A state dict of linear layers, (outputs, inputs); every number is its own."""
    arrays = {}
    for name, (outputs, inputs) in zip(names, shapes, strict=False):
        start = 100 * len(arrays)
        arrays[f"{name}.weight"] = start + np.arange(outputs * inputs).reshape(outputs, inputs)
        arrays[f"{name}.bias"] = start + np.arange(outputs)
    return arrays


def read(arrays):
    """Return the note, after a look at each array."""
    made, note = ours(arrays, "w")
    return {name: array.tolist() for name, array in made.items()}, note


def test_a_state_dict_is_transposed_and_a_note_says_so():
    arrays = torch((4, 3), (2, 4))
    made, note = read(arrays)
    names = {"W1": "0.weight", "b1": "0.bias", "W2": "1.weight", "b2": "1.bias"}
    assert made == {ours: arrays[theirs].T.tolist() for ours, theirs in names.items()}
    assert note == "PyTorch's names, matrices (outputs, inputs), transposed, layers '0', '1'"


def test_the_layers_of_scikit_learn_stay_as_they_are():
    arrays = {"coefs_0": np.ones((3, 4)), "intercepts_0": np.zeros(4)}
    arrays |= {"coefs_1": np.ones((4, 2)), "intercepts_1": np.zeros(2)}
    made, note = read(arrays)
    assert list(made) == ["W1", "b1", "W2", "b2"]
    assert made["W1"] == np.ones((3, 4)).tolist()
    assert note == "scikit-learn's names, matrices (inputs, outputs), layers '0', '1'"


@pytest.mark.parametrize(
    ("layers", "listed"),
    [(6, "'0', '1', '2', '3', '4', '5'"), (7, "'0', '1', '2', '3', '4', '5', ...")],
)
def test_no_more_than_six_layers_are_listed(layers, listed):
    assert read(torch(*[(2, 2)] * layers))[1].endswith(f", layers {listed}")


@pytest.mark.parametrize(
    ("arrays", "turned"),
    [
        ({"W1": (4, 3), "b1": (4,), "W2": (2, 4), "b2": (2,)}, True),
        ({"W1": (4, 3), "B1": (4,)}, True),
        ({"W1": (3, 4), "b1": (4,), "W2": (4, 2), "b2": (2,)}, False),
        ({"W1": (4, 4), "b1": (4,)}, False),  # both fit
        ({"W1": (4, 4), "b1": (4,), "W2": (2, 4), "b2": (2,)}, True),
        ({"W1": (4, 3), "b1": (4,), "W2": (4, 2), "b2": (2,)}, False),  # neither does
        ({"W1": (4, 3), "b1": (4,), "W2": (2, 4)}, False),  # not complete
        ({"W1": (4, 3), "b1": (4,), "gamma": (1,)}, False),
        ({"W1": (4, 3)}, False),
        ({"W1": (4, 3, 1), "b1": (4,)}, False),
        ({"W1": (4,), "b1": (4,)}, False),
        ({"W0": (4, 3), "b0": (4,)}, False),
        ({"V1": (4, 3), "b1": (4,)}, False),
        ({}, False),
    ],
)
def test_matrices_of_our_names_are_turned_where_only_that_fits(arrays, turned):
    given = {name: np.arange(np.prod(shape)).reshape(shape) for name, shape in arrays.items()}
    made, note = ours(given, "w")
    assert note == ("matrices (outputs, inputs), transposed" if turned else "")
    assert made.keys() == given.keys()
    for name, array in given.items():
        np.testing.assert_array_equal(made[name], array.T if turned else array)


@pytest.mark.parametrize(
    "names",
    [
        ("0.weight",),
        ("0.bias",),
        ("0.weight", "0.bias", "0.running_mean"),
        ("coefs_0", "0.bias"),
        ("coefs_12345", "intercepts_12345"),
        ("coefs_", "intercepts_"),
        ("a" * 201 + ".weight", "a" * 201 + ".bias"),
        (".weight", ".bias"),
    ],
)
def test_other_names_are_left_to_those_who_know_them(names):
    arrays = {name: np.ones((2, 2)) for name in names}
    assert ours(arrays, "w") == (arrays, "")


@pytest.mark.parametrize("name", ["a" * 200, "", "a.b", "1234"])
def test_a_layer_may_have_any_name(name):
    dot = "." if name else ""
    arrays = {f"{name}{dot}weight": np.ones((4, 3)), f"{name}{dot}bias": np.ones(4)}
    assert ours(arrays, "w")[0]["W1"].shape == (3, 4)


ORDERS = {
    "by number": "l2 l9 l10",
    "by number with zeros before it": "l02 l9 l010",
    "by the first number": "b1.f2 b2.f1 b10.f1",
    "by the next number": "b1.f2 b1.f10 b2.f1",
    "by shape": "zero one two",
    "by shape, as numbers do not say": "in layer1 layer2",
}


@pytest.mark.parametrize("case", ORDERS)
def test_layers_are_put_in_their_order(case):
    names, shapes = ORDERS[case].split(), [(4, 3), (5, 4), (2, 5)]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        arrays = torch(*[shapes[n] for n in order], names=[names[n] for n in order])
        made, note = ours(arrays, "w")
        assert [made[f"W{n}"].shape for n in (1, 2, 3)] == [shape[::-1] for shape in shapes]
        assert note.endswith("layers " + ", ".join(repr(name) for name in names))
        np.testing.assert_array_equal(made["b2"], arrays[f"{names[1]}.bias"])


def test_a_square_layer_stands_where_the_width_is_its_own():
    arrays = torch((2, 5), (5, 5), (5, 3), names=("last", "middle", "first"))
    assert ours(arrays, "w")[1].endswith("layers 'first', 'middle', 'last'")
    arrays = torch((2, 5), (5, 5), (5, 5), (5, 3), names="abcd")  # of two, which comes first?
    with pytest.raises(WeightsError, match=refused("a b c", "in their names")):
        ours(arrays, "w")


def refused(names, expected):
    got = ", ".join(repr(name) for name in names.split())
    return f"^w: expected layers with numbers {expected}, got {got}$"


@pytest.mark.parametrize(
    ("shapes", "names"),
    [
        ([(4, 4)] * 2, "a b"),
        ([(4, 4)] * 7, "a b c d e f"),
        ([(4, 3), (4, 3), (2, 4)], "a b c"),  # two that could be the first
        ([(4, 1), (4, 3), (2, 4)], "a b c"),
        ([(4, 3), (2, 4), (7, 6)], "a b c"),  # two that nothing goes into
        ([(4, 3), (2, 4), (5, 5)], "c"),  # one that is alone
    ],
)
def test_an_order_that_cannot_be_known_is_refused(shapes, names):
    with pytest.raises(WeightsError, match=refused(names, "in their names")):
        ours(torch(*shapes, names="abcdefg"), "w")


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"1.bias": None}, "layer '1': expected a matrix and a bias, got no bias"),
        ({"1.weight": None}, "layer '1': expected a matrix and a bias, got no matrix"),
        ({"1.weight": np.ones(4)}, "layer '1': expected a matrix and a bias, got shape (4,)"),
        ({"0.weight": np.ones((1, 1, 1))}, "layer '0': expected a matrix and a bias, got shape "),
        ({"weight": np.ones((1, 1))}, "layer '': expected a matrix and a bias, got no bias"),
    ],
)
def test_half_a_layer_is_refused(change, got):
    arrays = torch((4, 3), (2, 4)) | change
    with pytest.raises(WeightsError, match=f"^w: {re.escape(got)}"):
        ours({name: array for name, array in arrays.items() if array is not None}, "w")


def test_of_a_square_matrix_the_name_says_which_way_it_lies():
    W, b = np.arange(4).reshape(2, 2), np.zeros(2)
    for names, turned in ((("0.weight", "0.bias"), True), (("coefs_0", "intercepts_0"), False)):
        made, note = read(dict(zip(names, (W, b), strict=True)))
        assert made["W1"] == (W.T if turned else W).tolist()
        assert ("transposed" in note) == turned
