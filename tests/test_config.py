import dataclasses

import pytest
from omegaconf import OmegaConf

from runner.compose.loader import to_config
from runner.config import (
    Config,
    batch_sizes,
    digest,
    effective_threads,
    identity,
    json_schema,
    walk,
)


def config(**changes):
    made = Config()
    for key, value in changes.items():
        node = made
        *parents, last = key.split("__")
        for parent in parents:
            node = getattr(node, parent)
        setattr(node, last, value)
    return made


def test_defaults_of_the_contract():
    made = Config()
    assert (made.batch_size, made.epochs, made.dtype, made.seed) == (100, 10, "float32", 0)
    assert (made.figures, made.output_dir, made.threads) == ("auto", "outputs", None)
    assert made.sweep.max_runs == 100_000
    assert made.dataset.normalize is made.dataset.flatten is True
    assert made.dataset.one_hot_label is False


def test_every_key_explains_itself():
    for path, about, _ in walk(Config()):
        assert about["about"], path


@pytest.mark.parametrize(
    ("hidden", "threads", "in_sweep", "expected"),
    [
        ([50, 100], None, False, 1),
        ([], None, False, 1),
        ([800], None, False, 2),
        ([800], None, True, 1),
        ([800], 1, False, 1),
        ([50], 4, True, 4),
    ],
)
def test_threads_follow_the_network_alone(hidden, threads, in_sweep, expected):
    made = config(network__hidden=hidden, threads=threads)
    assert effective_threads(made, in_sweep) == expected


def test_batch_sizes():
    assert batch_sizes(config(batch_size=7)) == [7]
    assert batch_sizes(config(batch_size=[1, 2])) == [1, 2]


def test_identity_leaves_out_paths_pictures_and_the_sweep():
    plain = identity(config(data_dir="a", output_dir="b", figures="all", weights__path="c"))
    assert plain == identity(config(sweep__name="d", threads=3, dataset__path="e"))
    assert plain != identity(config(seed=1))


def test_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2.5, None]}) == digest({"b": [2.5, None], "a": 1})
    assert len(digest({})) == 12


def test_schema_is_a_structured_config_of_omegaconf():
    node = OmegaConf.structured(Config)
    for name in ("task", "dataset", "activation", "output", "loss", "optimizer"):
        node[name].name = "x"
    for name in ("schedule", "init", "weights"):
        node[name].name = "x"
    made = to_config(node)
    assert isinstance(made, Config)
    assert made.network.hidden == []


def test_json_schema_has_every_key_with_its_default():
    schema = json_schema()

    def compare(kind, node):
        assert [name for name in node["properties"] if name != "defaults"] == [
            item.name for item in dataclasses.fields(kind)
        ]
        assert node["additionalProperties"] is False
        for item in dataclasses.fields(kind):
            if dataclasses.is_dataclass(item.type):
                compare(item.type, node["properties"][item.name])

    compare(Config, schema)
    assert schema["properties"]["seed"] == {
        "description": "of every random number of the run",
        "type": "integer",
        "minimum": 0,
        "maximum": 2**32 - 1,
        "default": 0,
    }
    assert schema["properties"]["dtype"]["enum"] == ["float32", "float64"]
    hidden = schema["properties"]["network"]["properties"]["hidden"]
    assert hidden["items"] == {"type": "integer", "minimum": 1}
    limit = schema["properties"]["dataset"]["properties"]["limit"]
    assert limit["anyOf"] == [{"type": "integer", "minimum": 1}, {"type": "null"}]
    assert limit["description"].endswith("[samples]")
