"""onnxruntime: a graph from bytes to labels."""

from itertools import count

import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper

from engines.cases import Array, Data, Inference


def model(weights: list[tuple[Array, Array]]) -> ModelProto:
    """Return the graph: cast, scale, layers with ReLU between them, largest logit."""
    given = {"scale": np.float32(1 / 255)}
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["z0"]),
    ]
    for i, (W, b) in zip(count(1), weights):
        given |= {f"W{i}": W, f"b{i}": b}
        nodes += [
            helper.make_node("Gemm", [f"z{i - 1}", f"W{i}", f"b{i}"], [f"a{i}"]),
            helper.make_node("Relu", [f"a{i}"], [f"z{i}"]),
        ]
    nodes[-1] = helper.make_node("ArgMax", [f"a{i}"], ["labels"], axis=1, keepdims=0)
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", len(weights[0][0])])],
        [helper.make_tensor_value_info("labels", TensorProto.INT64, ["batch"])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in given.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


class Classifier:
    """From bytes to labels."""

    def __init__(self, case: Inference, data: Data, threads: int) -> None:
        self.batches = case.batches(data)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        graph = model(case.weights()).SerializeToString()
        providers = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(graph, options, providers=providers)

    def labels(self) -> list[Array]:
        """Return the labels of each batch."""
        return [self.session.run(None, {"images": images})[0] for images in self.batches]
