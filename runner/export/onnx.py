"""The network of a run as an ONNX model: raw samples in, outputs out, in the run's arithmetic."""

import math
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from runner.export.network import Network, read_network
from runner.lookup import one_of
from runner.tables import store

OPSET, IR_VERSION = 17, 8  # of 2022: what any runtime in use reads


def export(path: Path, out: Path) -> str:
    """Write the model of the run in ``path`` to the file ``out``."""
    network = read_network(path)
    content = model(network)
    store.write_bytes(out, content)
    inputs = f"x (N, {network.weights.sizes[0]}), raw"
    inputs += ", deskewed" if network.config.dataset.deskew else ""
    return f"{out}: {network.shape}; opset {OPSET}, {network.config.dtype}; {inputs} -> y"


class Graph:
    """The nodes of a model, each named for its one output; its numbers are of one ``dtype``."""

    def __init__(self, dtype: str) -> None:
        from onnx import helper

        self.dtype = np.dtype(dtype)
        self.type: int = helper.np_dtype_to_tensor_dtype(self.dtype)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, op: str, *inputs: "str | ArrayLike", **attributes: Any) -> str:
        """Add a node; inputs are names of others, or numbers. Return its name."""
        from onnx import helper

        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [name], name, **attributes))
        return name

    def constant(self, value: "ArrayLike") -> str:
        """Add numbers. Return their name."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        array = np.asarray(value)
        array = array if array.dtype == np.int64 else array.astype(self.dtype)  # a shape
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def positive(self, a: str) -> str:
        """Add 1 where a > 0, else 0."""
        return self.add("Cast", self.add("Greater", a, 0.0), to=self.type)


def model(network: Network) -> bytes:
    """Return the bytes of the model.

    Raises
    ------
    ValueError
        For a function that is not written in ONNX's operators here.
    """
    import onnx
    from onnx import helper

    graph, sizes = Graph(network.config.dtype), network.weights.sizes
    voting = {"pairs": sizes[-1]} if network.output == "pairwise" else {}
    z = "x" if network.scale == 1 else graph.add("Mul", "x", network.scale)
    functions = [
        *(chosen("activation", name, ACTIVATIONS, params) for name, params in network.activations),
        chosen("output", network.output, OUTPUTS, voting),
    ]
    for W, b, function in zip(network.weights.W, network.weights.b, functions, strict=True):
        z = function(graph, graph.add("Gemm", z, W, b))
    graph.nodes[-1].output[0] = "y"
    outputs = classes(sizes[-1]) if voting else sizes[-1]
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "network",
            [helper.make_tensor_value_info("x", graph.type, ["N", sizes[0]])],
            [helper.make_tensor_value_info("y", graph.type, ["N", outputs])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="runner",
    )
    about = {"run_id": network.run_id, "network": network.shape}
    helper.set_model_props(made, about)
    onnx.checker.check_model(made, full_check=True)
    content: bytes = made.SerializeToString(deterministic=True)
    return content


Function = Callable[[Graph, str], str]  # adds nodes after the one that is named


def chosen(
    what: str, name: str, table: Mapping[str, Callable[..., str]], params: Mapping[str, Any]
) -> Function:
    """Return what adds the function of a name."""
    if name not in table:
        raise ValueError(f"{what}: expected {one_of(table)}, got {name}")
    return lambda graph, a: table[name](graph, a, **params)


def simply(op: str) -> Callable[..., str]:
    """Return what adds one operator."""
    return lambda graph, a: graph.add(op, a)


def leaky_relu(graph: Graph, a: str, negative_slope: float = 0.01) -> str:
    """Add a where a > 0, else negative_slope · a: LeakyRelu has its factor in float32 only."""
    below = graph.add("Mul", graph.add("Min", a, 0.0), float(negative_slope))
    return graph.add("Add", graph.add("Relu", a), below)


def elu(graph: Graph, a: str, alpha: float = 1.0) -> str:
    """Add a where a > 0, else alpha (exp(a) - 1): onnxruntime has Elu in float32 only."""
    below = graph.add("Sub", graph.add("Exp", graph.add("Min", a, 0.0)), 1.0)
    return graph.add("Add", graph.add("Relu", a), graph.add("Mul", below, float(alpha)))


def softplus(graph: Graph, a: str) -> str:
    """Add max(a, 0) + log(1 + exp(-|a|)): onnxruntime has Softplus in float32 only."""
    small = graph.add("Exp", graph.add("Neg", graph.add("Abs", a)))
    return graph.add("Add", graph.add("Relu", a), graph.add("Log", graph.add("Add", small, 1.0)))


def gelu(graph: Graph, a: str, approximate: str = "none") -> str:
    """Add a Φ(a), of operators: ONNX has it from opset 20 on only."""
    if approximate == "none":
        inner = erf(graph, graph.add("Mul", a, math.sqrt(0.5)))
    else:
        cubic = graph.add("Mul", graph.add("Pow", a, 3.0), 0.044715)
        u = graph.add("Mul", graph.add("Add", a, cubic), math.sqrt(2 / math.pi))
        inner = graph.add("Tanh", u)
    doubled = graph.add("Mul", a, graph.add("Add", inner, 1.0))
    return graph.add("Mul", doubled, 0.5)


def erf(graph: Graph, a: str) -> str:
    """Add the error function, always computed in float32: onnxruntime has no other."""
    from onnx import TensorProto

    single = graph.add("Erf", graph.add("Cast", a, to=TensorProto.FLOAT))
    return graph.add("Cast", single, to=graph.type)


def maxout(graph: Graph, a: str, pieces: int) -> str:
    """Add the largest of each unit's pieces, the first pieces of all units coming first."""
    units = graph.add("Reshape", a, np.array([0, pieces, -1]))
    return graph.add("ReduceMax", units, axes=[1], keepdims=0)


def softmax(graph: Graph, a: str) -> str:
    """Add the softmax of each row."""
    return graph.add("Softmax", a, axis=-1)


def pairwise(graph: Graph, a: str, pairs: int) -> str:
    """Add the votes that each class wins against each other one (see `runner.nn.outputs`)."""
    count = classes(pairs)
    probability = graph.add("Mul", graph.add("Sigmoid", a), 1 / count)
    won = graph.add("Add", graph.positive(a), probability)
    first, second = np.zeros((2, pairs, count))
    for pair, (i, j) in enumerate(combinations(range(count), 2)):
        first[pair, i] = second[pair, j] = 1
    # The second of a pair has what the first one leaves.
    return graph.add("Gemm", won, first - second, (1 + 1 / count) * second.sum(axis=0))


def classes(pairs: int) -> int:
    """Return how many classes make so many pairs."""
    return (1 + math.isqrt(1 + 8 * pairs)) // 2


ACTIVATIONS: dict[str, Callable[..., str]] = {
    "step": Graph.positive,
    "sigmoid": simply("Sigmoid"),
    "relu": simply("Relu"),
    "tanh": simply("Tanh"),
    "leaky_relu": leaky_relu,
    "elu": elu,
    "gelu": gelu,
    "maxout": maxout,
    "softplus": softplus,
    "identity": simply("Identity"),
}
OUTPUTS: dict[str, Callable[..., str]] = {
    "identity": simply("Identity"),
    "pairwise": pairwise,
    "sigmoid": simply("Sigmoid"),
    "softmax": softmax,
    "step": Graph.positive,
}
