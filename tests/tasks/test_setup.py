"""What a task works on: random streams of their own, and shapes that fit the dataset."""

import numpy as np
import pytest

from runner.config import Choice, Config, Dataset, Network, Weights
from runner.lookup import BadInput
from runner.nn.initializers import INITIALIZERS
from runner.tasks.setup import build, random_streams


def config(dataset="xor", output="softmax", params=None, weights="none", **more):
    return Config(
        task=Choice("inference"),
        dataset=Dataset(dataset, params or {}),
        network=Network(hidden=more.pop("hidden", [3])),
        activation=Choice(more.pop("activation", "relu"), more.pop("activation_params", {})),
        output=Choice(output),
        loss=Choice(more.pop("loss", "cross_entropy")),
        optimizer=Choice("sgd", {"lr": 0.1}),
        schedule=Choice("constant"),
        init=Choice(more.pop("init", "auto"), more.pop("init_params", {})),
        weights=Weights(weights, more.pop("weights_params", {})),
        **more,
    )


def drawn(generator, n=8):
    return generator.integers(2**63, size=n).tolist()


def test_every_use_of_chance_has_numbers_of_its_own():
    streams = {name: drawn(generator) for name, generator in random_streams(0).items()}
    assert {"init", "shuffle"} <= set(streams)
    numbers = [number for stream in streams.values() for number in stream]
    assert len(set(numbers)) == len(numbers)


def test_drawing_from_one_stream_changes_no_other():
    one, two = random_streams(0), random_streams(0)
    drawn(one["init"], 1000)
    assert drawn(one["shuffle"]) == drawn(two["shuffle"])


def test_streams_follow_the_seed_alone():
    names = list(random_streams(0))
    for name in names:
        first, again, other = (drawn(random_streams(seed)[name]) for seed in (0, 0, 1))
        assert first == again != other


def test_first_weights_come_from_the_stream_of_init():
    setup = build(config(init="gaussian", init_params={"std": 0.5}, seed=3))
    rng = random_streams(3)["init"]
    draw = INITIALIZERS["gaussian"](std=0.5)
    for W, b in zip(setup.network.W, setup.network.b, strict=True):
        np.testing.assert_array_equal(W, draw(*W.shape, "relu", rng=rng, dtype=W.dtype))
        assert not b.any()
    # What training shuffles by is untouched by those draws.
    assert drawn(setup.streams["shuffle"]) == drawn(random_streams(3)["shuffle"])


@pytest.mark.parametrize(
    ("output", "sizes"),
    [("sigmoid", [2, 3, 1]), ("step", [2, 3, 1]), ("softmax", [2, 3, 2]), ("identity", [2, 3, 2])],
)
def test_two_classes_share_a_neuron_unless_outputs_are_compared(output, sizes):
    setup = build(config(output=output))
    assert (setup.network.sizes, setup.classes) == (sizes, 2)
    targets = setup.split("test").targets
    expected = [[0], [1], [1], [0]] if sizes[-1] == 1 else [[1, 0], [0, 1], [0, 1], [1, 0]]
    np.testing.assert_array_equal(targets, expected)
    assert targets.dtype == np.float32


@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity", "step"])
def test_three_classes_have_a_neuron_each(output):
    params = {"x": [[0.0], [1.0], [2.0]], "t": [0, 1, 2]}
    setup = build(config("inline", output, params))
    assert setup.network.sizes == [1, 3, 3]
    np.testing.assert_array_equal(setup.split("test").targets, np.eye(3))


def weights(outputs):
    return {"W1": [[0.0] * outputs] * 2, "b1": [0.0] * outputs}


@pytest.mark.parametrize(
    ("output", "outputs", "fits"),
    [
        *(("sigmoid", 1, "1 or 2"), ("sigmoid", 2, "1 or 2"), ("sigmoid", 3, "1 or 2")),
        *(("softmax", 1, "2"), ("softmax", 2, "2"), ("identity", 1, "2"), ("identity", 2, "2")),
    ],
)
def test_given_weights_must_have_as_many_outputs(output, outputs, fits):
    made = config(output=output, weights="inline", weights_params=weights(outputs), hidden=[])
    if str(outputs) in fits:
        assert build(made).network.sizes == [2, outputs]
        return
    message = f"weights: expected {fits} output neurons .*, got {outputs}$"
    with pytest.raises(BadInput, match=message):
        build(made)


def test_without_labels_the_weights_say_how_many_outputs():
    params = {"x": [[1.0, 2.0], [3.0, 4.0]]}
    made = config("inline", params=params, weights="inline", weights_params=weights(5), hidden=[])
    setup = build(made)
    split = setup.split("test")
    assert setup.network.sizes == [2, 5]
    assert setup.classes is split.t is split.targets is None
    assert len(split.x) == 2
    with pytest.raises(BadInput, match="weights: expected given weights"):
        build(config("inline", params=params))


# Two inputs, three units of two pieces, two outputs.
PIECES = {"W1": [[1.0] * 6] * 2, "b1": [0.0] * 6, "W2": [[1.0, 2.0]] * 3, "b2": [0.0, 0.0]}


def given(pieces=None, **more):
    params = {"pieces": pieces}
    more = {"activation": "maxout", "activation_params": params} | more
    return config(weights="inline", weights_params=PIECES, **more)


@pytest.mark.parametrize("pieces", [2, None])
def test_maxout_has_the_pieces_of_given_weights(pieces):
    network = build(given(pieces)).network
    assert (network.sizes, [W.shape for W in network.W]) == ([2, 3, 2], [(2, 6), (3, 2)])
    np.testing.assert_array_equal(network.logits(np.array([[1.0, 2.0]])), [[9, 18]])


@pytest.mark.parametrize(("pieces", "columns"), [(None, 15), (5, 15), (2, 6), (1, 3)])
def test_maxout_has_five_pieces_unless_told(pieces, columns):
    made = config(activation="maxout", activation_params={"pieces": pieces})
    assert build(made).network.W[0].shape == (2, columns)


@pytest.mark.parametrize(
    ("more", "columns"),
    [({"pieces": 3}, 9), ({"pieces": 1}, 3), ({"activation": "relu", "activation_params": {}}, 3)],
)
def test_weights_of_another_number_of_pieces_are_refused(more, columns):
    message = rf"^weights: W1: expected \(2, {columns}\), got \(2, 6\)$"
    with pytest.raises(BadInput, match=message):
        build(given(**more))


def test_weights_without_pieces_suit_maxout_of_one_piece():
    arrays = {"W1": [[1.0, -1.0]] * 2, "b1": [0.0, 0.0], "W2": [[1.0, 0.0], [0.0, 1.0]]}
    made = config(
        activation="maxout",
        weights="inline",
        weights_params=arrays | {"b2": [0.0, 0.0]},
        hidden=[2],
    )
    logits = build(made).network.logits(np.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(logits, [[3, -3]])  # as the identity has it


@pytest.mark.parametrize(("classes", "expected"), [(2, [[1], [0]]), (3, [[1, 1], [0, np.nan]])])
def test_the_first_class_of_a_pair_has_the_target_one(classes, expected):
    x, t = [[float(label)] for label in range(classes)], [*range(classes)]
    made = build(config("inline", "pairwise", {"x": x, "t": t}, hidden=[]))
    targets = made.split("all").targets
    assert targets.shape == (classes, classes * (classes - 1) // 2)
    np.testing.assert_array_equal(targets[:2, :2], expected)
