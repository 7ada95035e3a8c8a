"""Weight files of networks: read from anywhere without running code, checked, written."""

from pathlib import Path

from runner.weights.files import read, write
from runner.weights.parameters import Weights, WeightsError, from_arrays
from runner.weights.tensors import dumps

PRETRAINED = Path(__file__).with_name("pretrained.safetensors")

__all__ = ["PRETRAINED", "Weights", "WeightsError", "dumps", "from_arrays", "read", "write"]
