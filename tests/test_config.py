import dataclasses
import re

import pytest
from omegaconf import OmegaConf

import runner
from runner.compose.composition import to_config
from runner.config import (
    TASKS_WITHOUT_TRAINING,
    Config,
    Training,
    batch_sizes,
    digest,
    effective_threads,
    identity,
    validate,
    walk,
)
from runner.job import TASKS
from runner.lookup import BadInput
from runner.schema import json_schema


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
    ("task", "batch_size", "in_sweep", "expected"),
    [
        ("inference", 512, False, 2),
        ("inference", [512, 10_000], False, 2),
        ("inference", [1, 512], False, 1),
        ("inference", 511, False, 1),
        ("inference", 512, True, 1),
        ("training", 512, False, 1),
    ],
)
def test_a_second_thread_for_many_samples_that_go_forward(task, batch_size, in_sweep, expected):
    made = config(network__hidden=[50], batch_size=batch_size)
    made.task.name = task
    assert effective_threads(made, in_sweep) == expected


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
def test_threads_follow_the_network(hidden, threads, in_sweep, expected):
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
        assert [name for name in node["properties"] if name not in ("defaults", "hydra")] == [
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


# Every key of `training` with a value that is not its default.
TRAINING = {
    **{"dropout": 0.5, "input_dropout": 0.2, "max_norm": 3.0, "clip_norm": 1.0},
    **{"label_smoothing": 0.1, "validation": 10, "patience": 2, "checkpoint_every": 5},
}


def test_options_of_training_are_off_unless_given():
    made = Training()
    assert list(vars(made)) == list(TRAINING)
    assert not any(vars(made).values())
    schema = json_schema()["properties"]["training"]["properties"]
    assert list(schema) == list(TRAINING)
    assert schema["dropout"]["type"] == "number"
    assert schema["validation"]["minimum"] == 0
    for name in ("patience", "checkpoint_every"):
        assert schema[name]["anyOf"] == [{"type": "integer", "minimum": 1}, {"type": "null"}]
        assert schema[name]["description"].endswith("[epochs]")


@pytest.mark.parametrize("key", TRAINING)
def test_options_of_training_belong_to_a_run_but_for_its_checkpoints(key):
    changed = identity(config(**{f"training__{key}": TRAINING[key]}))
    assert (changed == identity(Config())) == (key == "checkpoint_every")


@pytest.mark.parametrize("task", sorted({*TASKS} - {"training"}))
@pytest.mark.parametrize("key", TRAINING)
def test_options_of_training_are_refused_elsewhere(key, task):
    default = "null" if getattr(Training(), key) is None else getattr(Training(), key)
    expected = f"{default} unless task=training"
    message = f"training.{key}: expected {expected}, got {TRAINING[key]}"
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        validate(config(task__name=task, **{f"training__{key}": TRAINING[key]}))


def test_options_of_training_are_for_training_and_for_tasks_of_ones_own():
    assert {*TASKS} == {*TASKS_WITHOUT_TRAINING, "training"}
    options = {f"training__{key}": value for key, value in TRAINING.items()}
    for name in ("training", "own:task"):
        validate(config(task__name=name, **options))
    for name in TASKS:
        validate(config(task__name=name))


ABOVE_0 = "above 0"
FRACTION = "at least 0 and below 1"
BAD_TRAINING = {
    "dropout=1": f"dropout: expected {FRACTION}, got 1.0",
    "dropout=-0.1": f"dropout: expected {FRACTION}, got -0.1",
    "dropout=nan": "dropout: expected a finite number, got nan",
    "dropout=half": "dropout: expected a number, got half",
    "input_dropout=1.5": f"input_dropout: expected {FRACTION}, got 1.5",
    "max_norm=0": f"max_norm: expected {ABOVE_0}, got 0.0",
    "max_norm=inf": "max_norm: expected a finite number, got inf",
    "clip_norm=-1": f"clip_norm: expected {ABOVE_0}, got -1.0",
    "clip_norm=nan": "clip_norm: expected a finite number, got nan",
    "label_smoothing=1": f"label_smoothing: expected {FRACTION}, got 1.0",
    "label_smoothing=-0.1": f"label_smoothing: expected {FRACTION}, got -0.1",
    "label_smoothing=nan": "label_smoothing: expected a finite number, got nan",
    "validation=-1": "validation: expected at least 0, got -1",
    "validation=0.2": "validation: expected an integer, got 0.2",
    "validation=1437": "validation: expected fewer than the 1437 samples of the train split, "
    "got 1437",
    "patience=0": "patience: expected at least 1, got 0",
    "checkpoint_every=0": "checkpoint_every: expected at least 1, got 0",
    "droput=0.5": f"droput: expected a key of training ({', '.join(TRAINING)}), got droput; "
    "did you mean training.dropout?",
}


@pytest.mark.parametrize("word", BAD_TRAINING)
def test_bad_options_of_training(word):
    message = f"command line: training.{BAD_TRAINING[word]}"
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        runner.run(["task=training", "dataset=digits", f"training.{word}"])


def test_patience_needs_a_validation_split():
    message = (
        "configuration: training.validation: expected at least 1 (patience watches its loss), got 0"
    )
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        runner.run(["task=training", "dataset=digits", "training.patience=1"])
