"""The configuration: every key with its type, unit, bounds and default.

This is the only place for them; the files in ``conf/`` name choices and
the parameters of each. The JSON Schema and the checks come from here too.
"""

import dataclasses
import hashlib
import json
import math
import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from runner.lookup import BadInput, NotGiven, one_of, shortened

MISSING = "???"  # OmegaConf's word for "must be given"
TASKS_WITHOUT_TRAINING = ("inference", "perceptron", "functions", "descent", "gradient")
# What may bound a number: the words for it, and whether it holds.
LIMITS = {
    "minimum": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "maximum": ("at most", operator.le),
    "below": ("below", operator.lt),
}
# What may name a folder on every system: on Windows not `nul`, `com1.a` or `a.`.
FOLDER = re.compile(
    r"(?!(?i:con|prn|aux|nul|(com|lpt)[0-9])(\.|$))(?!.*\.$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
)
WIDE = 200  # hidden units from which a second thread pays
LARGE = 512  # samples of a batch from which it does at inference


def key(default: Any, about: str, **bounds: Any) -> Any:
    """Return a dataclass field with its explanation and bounds.

    ``bounds`` may have ``minimum`` or ``above``, ``maximum`` or ``below``,
    ``choices`` and ``unit``.
    """
    metadata = {"about": about, **bounds}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Choice:
    """One choice of a config group."""

    name: str = key(MISSING, "what makes it: a name of its table, or module:function")
    params: dict[str, Any] = key({}, "keyword arguments of what makes it")


@dataclass
class Dataset(Choice):
    """The samples, and what the network sees of them."""

    path: str | None = key(None, "the file that dataset=file reads")
    normalize: bool = key(True, "divide images by their largest possible value: floats in [0, 1]")
    flatten: bool = key(True, "images as rows of pixels (N, 784), else as (N, 1, 28, 28)")
    deskew: bool = key(False, "shear images of bytes until they are upright, and centre them")
    one_hot_label: bool = key(False, "labels as rows of a single one (N, classes)")
    limit: int | None = key(None, "only the first so many of a split", minimum=1, unit="samples")
    split: str = key(
        "auto",
        "what inference is measured on; auto: test, or all of mnist5k",
        choices=("auto", "train", "test", "all"),
    )


@dataclass
class Network:
    """A fully connected network; input and output sizes follow from the dataset."""

    hidden: list[int] = key([], "units of each hidden layer", minimum=1)
    activations: list[str] | None = key(
        None, "one activation name per hidden layer, in place of `activation` for all"
    )


@dataclass
class Weights(Choice):
    """Where the weights come from."""

    path: str | None = key(None, "the file that weights=file reads")


@dataclass
class Distortion(Choice):
    """How training images are changed, anew in every epoch."""

    name: str = key("none", "what makes it: a name of its table, or module:function")


@dataclass
class Training:
    """What a training does besides following the gradient; off unless given."""

    dropout: float = key(
        0.0, "fraction of the hidden units that each sample does without", minimum=0, below=1
    )
    input_dropout: float = key(
        0.0, "fraction of the inputs that each sample does without", minimum=0, below=1
    )
    max_norm: float | None = key(None, "largest norm of the weights into a unit", above=0)
    clip_norm: float | None = key(None, "largest norm of the whole gradient", above=0)
    label_smoothing: float = key(
        0.0, "share of each target that is spread over all classes", minimum=0, below=1
    )
    validation: int = key(
        0, "samples at the end of the train split to measure on, not learn", minimum=0
    )
    patience: int | None = key(
        None,
        "stop after so many epochs without a lower validation loss, and go back to the lowest",
        minimum=1,
        unit="epochs",
    )
    checkpoint_every: int | None = key(
        None, "save what `runner resume` goes on from", minimum=1, unit="epochs"
    )


@dataclass
class Timing:
    """How often the inference task is timed, for each batch size."""

    warmup: int = key(1, "passes before the clock counts", minimum=0)
    repeats: int = key(5, "passes that are timed, each one a row of timing.csv", minimum=1)


@dataclass
class Sweep:
    """A sweep as a whole (`-m`)."""

    name: str | None = key(None, "folder below outputs/sweeps (default: date, time, random)")
    replicates: int | None = key(
        None, "runs of each job, their seeds counted up from `seed`", minimum=1
    )
    zip: list[Any] = key([], "lists of swept keys whose values are taken side by side")
    exclude: list[Any] = key([], "combinations that are left out, as {key: value, ...}")
    plan_only: bool = key(False, "show what would be run, and run nothing")
    fail_fast: bool = key(False, "stop after the first job that fails")
    allow_changes: bool = key(
        False, "go on where configuration, data, weights or code have changed since"
    )
    max_runs: int = key(100_000, "a sweep of more jobs is refused", minimum=1)


@dataclass
class Config:
    """One run."""

    task: Choice = key(Choice, "what is done")
    dataset: Dataset = key(Dataset, "the samples")
    network: Network = key(Network, "layer sizes")
    activation: Choice = key(Choice, "function of the hidden layers")
    output: Choice = key(Choice, "function of the last layer")
    loss: Choice = key(Choice, "what training minimises")
    optimizer: Choice = key(Choice, "how weights follow gradients; params.lr is the learning rate")
    schedule: Choice = key(Choice, "how the learning rate changes over a training")
    distortion: Distortion = key(Distortion, "how training images are changed in every epoch")
    init: Choice = key(Choice, "first weights where none are given")
    weights: Weights = key(Weights, "given weights")
    batch_size: Any = key(
        100, "samples per forward pass; for inference also a list of them", minimum=1
    )
    epochs: int = key(10, "passes over the training samples", minimum=1)
    dtype: str = key("float32", "arithmetic of the network", choices=("float32", "float64"))
    seed: int = key(0, "of every random number of the run", minimum=0, maximum=2**32 - 1)
    threads: int | None = key(
        None,
        "threads of the matrix products; unset: by the size of network and batches, 1 in a sweep",
        minimum=1,
        maximum=64,
    )
    figures: str = key("auto", "which pictures are drawn", choices=("auto", "all", "none"))
    training: Training = key(Training, "what a training does besides following the gradient")
    timing: Timing = key(Timing, "repeats of the inference timing")
    expect: dict[str, Any] = key(
        {}, "what is recorded, by name: a value; or value and tolerance; or at_least, at_most"
    )
    data_dir: str | None = key(None, "folder of the dataset's files; unset: cache or download")
    output_dir: str = key("outputs", "folder that runs and sweeps are written into")
    sweep: Sweep = key(Sweep, "a sweep as a whole")


def validate(config: Config) -> None:
    """Check every value against its bounds, and what values mean together.

    Raises
    ------
    BadInput
        Naming the first key that is wrong.
    """
    for path, about, value in walk(config):
        check_bounds(path, about, value)
    check_batch_size(config)
    if config.network.activations is not None:
        wanted, given = len(config.network.hidden), len(config.network.activations)
        if wanted != given:
            expected = f"{wanted} names, one per hidden layer"
            raise BadInput("network.activations", expected, given)
    if config.weights.name == "inline" and not config.weights.params:
        raise NotGiven("weights.params", "W1, b1, W2, ...")
    check_training(config)
    learns = config.task.name in ("training", "perceptron")
    if learns and config.dataset.split != "auto":
        expected = "auto (training learns the train split and is measured on both)"
        raise BadInput("dataset.split", expected, config.dataset.split)
    name = config.sweep.name
    if name is not None and not FOLDER.fullmatch(name):
        expected = "up to 100 letters, digits, dots, hyphens and underscores, a folder anywhere"
        raise BadInput("sweep.name", expected, name)
    if config.weights.params and config.weights.name in ("none", "file", "pretrained"):
        expected = f"none with weights={config.weights.name}"
        raise BadInput("weights.params", expected, ", ".join(config.weights.params))
    for group, node in (("weights", config.weights), ("dataset", config.dataset)):
        if node.name == "file" and node.path is None:
            raise NotGiven(f"{group}.path", "a path")
        if node.name != "file" and node.path is not None:
            hint = f"did you mean {group}=file {group}.path={node.path}?"
            raise BadInput(f"{group}.path", f"none unless {group}=file", node.path, hint=hint)


def walk(node: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Yield (dotted key, metadata, value) of every leaf of a configuration."""
    for item in fields(node):
        value, place = getattr(node, item.name), f"{path}{item.name}"
        if dataclasses.is_dataclass(value):
            yield from walk(value, f"{place}.")
        else:
            yield place, item.metadata, value


def check_bounds(path: str, about: Mapping[str, Any], value: Any) -> None:
    """Check one value (or each of a list) against its metadata; raise BadInput."""
    choices = about.get("choices")
    if choices and value not in choices:
        raise BadInput(path, one_of(choices), value)
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            raise BadInput(path, "a finite number", number)
        if not isinstance(number, (int, float)) or isinstance(number, bool):
            continue
        limits = [(*LIMITS[name], about[name]) for name in LIMITS if name in about]
        if not all(holds(number, limit) for _, holds, limit in limits):
            expected = " and ".join(f"{words} {limit}" for words, _, limit in limits)
            raise BadInput(path, expected, number)


def check_batch_size(config: Config) -> None:
    """Check that batch_size is an integer, or at inference a list of different ones."""
    sizes = config.batch_size
    listed = isinstance(sizes, list)
    if listed and config.task.name != "inference":
        raise BadInput("batch_size", "one integer (a list is for inference)", sizes)
    numbers = sizes if listed else [sizes]
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
    if not whole or not numbers:
        raise BadInput("batch_size", "an integer, or a list of integers", sizes)
    if len(set(numbers)) < len(numbers):
        raise BadInput("batch_size", "different sizes", sizes)


def check_training(config: Config) -> None:
    """Check that only a training is told how to train, and what its options need."""
    options = config.training
    for item in fields(options):
        value = getattr(options, item.name)
        if value != item.default and config.task.name in TASKS_WITHOUT_TRAINING:
            expected = f"{shortened(item.default)} unless task=training"
            raise BadInput(f"training.{item.name}", expected, value)
    if options.patience is not None and options.validation == 0:
        raise BadInput("training.validation", "at least 1 (patience watches its loss)", 0)


def batch_sizes(config: Config) -> list[int]:
    """Return the batch sizes as a list."""
    return list(config.batch_size) if isinstance(config.batch_size, list) else [config.batch_size]


def effective_threads(config: Config, in_sweep: bool) -> int:
    """Return the number of threads a run uses, whatever the machine is.

    Below about 200 hidden units a second thread costs more than it brings, unless very many
    samples go forward together.
    """
    if config.threads is not None:
        return config.threads
    wide = max(config.network.hidden, default=0) >= WIDE
    large = config.task.name == "inference" and min(batch_sizes(config)) >= LARGE
    return 2 if (wide or large) and not in_sweep else 1


def identity(config: Config) -> dict[str, Any]:
    """Return what makes a run the run it is: no paths, no pictures, nothing of the sweep."""
    plain = dataclasses.asdict(config)
    for name in ("sweep", "data_dir", "output_dir", "figures", "threads", "expect"):
        del plain[name]
    del plain["dataset"]["path"], plain["weights"]["path"], plain["training"]["checkpoint_every"]
    return plain


def digest(value: Any) -> str:
    """Return 12 hex digits of the SHA-256 of a plain value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
