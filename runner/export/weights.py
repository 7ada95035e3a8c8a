"""The weights of a run by the names and in the layouts of other programs."""

from pathlib import Path

from runner.export.network import Network, read_network
from runner.tables import store
from runner.weights.tensors import dumps_arrays


def read_plain(path: Path) -> Network:
    """Return a run's network; raise ValueError for one that other programs have no layers for."""
    network = read_network(path)
    if any(pieces > 1 for pieces in network.weights.pieces):
        raise ValueError(f"{path}: expected a unit for each column of its layer, got maxout")
    return network


def pytorch(path: Path, out: Path) -> str:
    """Write a state dict: 0.weight, 0.bias, 2.weight, ..., a function between each two layers."""
    network = read_plain(path)
    pairs = list(zip(network.weights.W, network.weights.b, strict=True))
    arrays = {f"{2 * i}.weight": W.T for i, (W, _) in enumerate(pairs)}
    arrays |= {f"{2 * i}.bias": b for i, (_, b) in enumerate(pairs)}
    about = {"run_id": network.run_id, "network": network.shape, "inputs": network.inputs}
    store.write_bytes(out, dumps_arrays(arrays, about))
    return said(out, network, "0.weight (outputs, inputs), 0.bias, 2.weight, ...")


def sklearn(path: Path, out: Path) -> str:
    """Write coefs_0, coefs_1, ... and intercepts_0, intercepts_1, ... ."""
    network = read_plain(path)
    arrays = {f"coefs_{i}": W for i, W in enumerate(network.weights.W)}
    arrays |= {f"intercepts_{i}": b for i, b in enumerate(network.weights.b)}
    store.write_bytes(out, store.npz(arrays))
    return said(out, network, "coefs_0 (inputs, outputs), intercepts_0, ...")


def npz(path: Path, out: Path) -> str:
    """Write W1, b1, W2, ... ."""
    network = read_network(path)
    store.write_bytes(out, store.npz(network.weights.arrays()))
    return said(out, network, "W1 (inputs, outputs), b1, W2, ...")


def said(out: Path, network: Network, names: str) -> str:
    """Say what was written, and what the network is given."""
    return f"{out}: {network.shape}; {names}; inputs: {network.inputs}"
