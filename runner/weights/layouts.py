"""How others name and lay out the weights of a network, turned into W1, b1, W2, ... .

PyTorch's state dicts have `0.weight`, `fc1.weight`, ... with (outputs, inputs); scikit-learn's
`MLPClassifier` has `coefs_` and `intercepts_`, here `coefs_0`, ..., with (inputs, outputs).
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from runner.weights.parameters import NAME, WeightsError, shown

Arrays = Mapping[str, NDArray[Any]]
PYTORCH = re.compile(r"(?:(?P<layer>.{1,200})\.)?(?P<part>weight|bias)")
SKLEARN = re.compile(r"(?P<part>coefs|intercepts)_(?P<layer>[0-9]{1,4})")
MATRICES = ("weight", "coefs")


class Layer(NamedTuple):
    """The matrix and the bias of a layer as they are in the file, and what it calls the layer."""

    name: str
    W: NDArray[Any]
    b: NDArray[Any]

    def fits(self, transposed: bool) -> bool:
        """Say whether the bias has a number for each output of a matrix that is laid out so."""
        outputs = self.W.shape[0 if transposed else 1]
        return bool(self.b.shape == (outputs,))


def ours(arrays: Arrays, where: str) -> tuple[Arrays, str]:
    """
    Return arrays by the names W1, b1, W2, ..., and how they were read where they had others.

    Of the layouts (inputs, outputs) and (outputs, inputs) the names say which is meant, unless
    the biases fit the other one only.

    Raises
    ------
    WeightsError
        If a layer has no bias or no matrix, or the order of the layers cannot be known.
    """
    for pattern, whose, usual in ((PYTORCH, "PyTorch", True), (SKLEARN, "scikit-learn", False)):
        found = [pattern.fullmatch(name) for name in arrays]
        if len({parts["part"] for parts in found if parts}) == 2 and all(found):
            return _foreign(_layers(arrays, pattern, where), whose, usual, where)
    return _own(arrays)


def _foreign(layers: list[Layer], whose: str, usual: bool, where: str) -> tuple[Arrays, str]:
    """Name the layers by their order, each matrix as (inputs, outputs)."""
    transposed = _transposed(layers, usual)
    straight = [layer._replace(W=layer.W.T) for layer in layers] if transposed else layers
    named: dict[str, NDArray[Any]] = {}
    chain = _ordered(straight, where)
    for n, layer in enumerate(chain, start=1):
        named |= {f"W{n}": layer.W, f"b{n}": layer.b}
    form = "(outputs, inputs), transposed" if transposed else "(inputs, outputs)"
    names = ", ".join(shown(layer.name) for layer in chain[:6]) + ", ..." * (len(chain) > 6)
    return named, f"{whose}'s names, matrices {form}, layers {names}"


def _own(arrays: Arrays) -> tuple[Arrays, str]:
    """Turn matrices of the names W1, W2, ... where they all fit the other way round only."""
    numbers = [name[1:] for name in arrays if NAME.fullmatch(name) and name[0] == "W"]
    biases = {name[1:]: array for name, array in arrays.items() if name[:1] in ("b", "B")}
    layers = [Layer(n, arrays[f"W{n}"], biases[n]) for n in numbers if n in biases]
    complete = layers and 2 * len(layers) == len(arrays)
    matrices = all(layer.W.ndim == 2 for layer in layers)
    if not complete or not matrices or not _transposed(layers, usual=False):
        return arrays, ""
    turned = {name: array.T if name[0] == "W" else array for name, array in arrays.items()}
    return turned, "matrices (outputs, inputs), transposed"


def _transposed(layers: list[Layer], usual: bool) -> bool:
    """Say whether matrices are (outputs, inputs): as usual, unless only the other way fits."""
    fits = {way: all(layer.fits(way) for layer in layers) for way in (True, False)}
    return usual if fits[usual] or not fits[not usual] else not usual


def _layers(arrays: Arrays, pattern: re.Pattern[str], where: str) -> list[Layer]:
    """Pair each layer's matrix with its bias."""
    pairs: dict[str, dict[bool, NDArray[Any]]] = {}
    for name, array in arrays.items():
        parts = pattern.fullmatch(name)
        assert parts is not None
        pairs.setdefault(parts["layer"] or "", {})[parts["part"] in MATRICES] = array
    for layer, pair in pairs.items():
        if len(pair) < 2 or pair[True].ndim != 2:
            got = "no bias" if True in pair else "no matrix"
            got = got if len(pair) < 2 else f"shape {pair[True].shape}"
            expected = "expected a matrix and a bias"
            raise WeightsError(f"{where}: layer {shown(layer)}: {expected}, got {got}")
    return [Layer(layer, pair[True], pair[False]) for layer, pair in pairs.items()]


def _ordered(layers: list[Layer], where: str) -> list[Layer]:
    """Sort layers by the numbers in their names, or else by what goes into which."""
    if len({re.sub("[0-9]+", "0", layer.name) for layer in layers}) == 1:
        return sorted(layers, key=lambda layer: _numbers(layer.name))
    made = {layer.W.shape[1] for layer in layers}
    starts = {layer.W.shape[0] for layer in layers} - made
    width = starts.pop() if len(starts) == 1 else -1
    left, chain = layers, []
    while left:
        after = [layer for layer in left if layer.W.shape[0] == width]
        square = [layer for layer in after if layer.W.shape[1] == width]
        following = square if len(square) == 1 else after  # before the width is left behind
        if len(following) != 1:
            names = ", ".join(shown(layer.name) for layer in left[:6])
            raise WeightsError(f"{where}: expected layers with numbers in their names, got {names}")
        chain += following
        left = [layer for layer in left if layer is not following[0]]
        width = following[0].W.shape[1]
    return chain


def _numbers(name: str) -> list[tuple[int, str]]:
    """Return the numbers in a name so that 10 comes after 9, however long they are."""
    digits = [number.lstrip("0") for number in re.findall("[0-9]+", name)]
    return [(len(number), number) for number in digits]
