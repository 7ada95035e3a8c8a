"""The network of a run, read from its folder without loading its data or running its code."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from runner.compose.recorded import origin, read_config
from runner.config import Config
from runner.tables import store, strict
from runner.tasks.parts import activation_names
from runner.weights import PRETRAINED, Weights, from_arrays, read

WITH_NETWORK = ("inference", "training", "perceptron")


@dataclass(frozen=True)
class Network:
    """A network and what it is given.

    Attributes
    ----------
    weights : of its layers.
    activations : name and parameters of the function after each hidden layer.
    output : name of the function after the last.
    scale : factor that makes its inputs of raw samples.
    run_id, config : of the run that it comes from.
    """

    weights: Weights
    activations: list[tuple[str, Mapping[str, Any]]]
    output: str
    scale: float
    run_id: str
    config: Config

    @property
    def shape(self) -> str:
        """Its sizes and functions, in a line."""
        sizes = "-".join(map(str, self.weights.sizes))
        return f"{sizes} {' '.join([*(name for name, _ in self.activations), self.output])}"

    @property
    def inputs(self) -> str:
        """What it wants to be given, in words."""
        parts = [f"divided by {1 / self.scale:.10g}"] if self.scale != 1 else []
        parts += ["deskewed"] if self.config.dataset.deskew else []
        return f"samples of {self.weights.sizes[0]} numbers {' and '.join(parts)}".rstrip()


def read_network(folder: Path) -> Network:
    """Return the network of the run in a folder.

    Raises
    ------
    ValueError, OSError
        When it is not the folder of a run with a network, or that network cannot be had again.
    """
    if store.is_sweep(folder):
        raise ValueError(f"{folder}: expected the folder of a run, got a sweep's (see its jobs/)")
    if not (folder / store.RECORD).exists():
        raise ValueError(f"{folder}: expected the folder of a run, got no {store.RECORD}")
    record = strict.read_json(folder / store.RECORD)
    record = record if isinstance(record, dict) else {}
    try:
        config = read_config(folder)
    except (OmegaConfBaseException, YAMLError) as error:
        raise ValueError(f"{folder}: expected a configuration, got {error}") from error
    if config.task.name not in WITH_NETWORK or record.get("status") != "completed":
        got = f"task={config.task.name}, {record.get('status')}"
        raise ValueError(f"{folder}: expected a completed run of a network, got {got}")
    scale = record.get("input_scale")
    if not isinstance(scale, float):
        raise ValueError(f"{folder / store.RECORD}: expected input_scale, got {scale}")
    weights = read_weights(folder, config, record)
    params = {config.activation.name: config.activation.params}
    named = zip(activation_names(config), weights.pieces, strict=True)
    return Network(
        weights=weights,
        activations=[
            (name, {"pieces": pieces} if name == "maxout" else params.get(name, {}))
            for name, pieces in named
        ],
        output=config.output.name,
        scale=scale,
        run_id=str(record.get("run_id")),
        config=config,
    )


def read_weights(folder: Path, config: Config, record: Mapping[str, Any]) -> Weights:
    """Return the weights that a run learned, or else those that it was given, if still the same."""
    learned = folder / "weights.safetensors"
    if learned.exists():
        return read(learned)
    node = config.weights
    if node.name == "inline":
        return from_arrays(node.params, "weights.params")
    if node.name not in ("pretrained", "file"):
        got = f"weights={node.name}"
        raise ValueError(f"{folder}: expected a run that learned or read its weights, got {got}")
    path = PRETRAINED if node.name == "pretrained" else origin(folder).cwd / str(node.path)
    weights = read(path)
    if weights.digest[:12] != record.get("weights_hash"):
        raise ValueError(f"{path}: expected the weights of the run, got others")
    return weights
