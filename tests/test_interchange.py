"""Networks to and from PyTorch, scikit-learn and ONNX, judged by those programs themselves.

They are no part of the test extra, being larger than the rest together:
`pip install --constraint requirements.lock '.[onnx,bench]'`.
"""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import runner
from runner import weights
from runner.choices import groups
from runner.cli import main
from runner.tables import store
from runner.weights.tensors import dumps_arrays

TRAINING = ["task=training", "epochs=1", "figures=none", "network.hidden=[30,20]"]
# The largest difference of a probability. The last place of a logit near 30 in float32 is 1.9e-6.
NEAR = {"float32": 3e-6, "float64": 1e-12}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def the_images(mnist_dir):
    """Return the 10,000 test images as rows of bytes."""
    from runner.data.mnist import mnist

    found = mnist(data_dir=mnist_dir)
    return found.x[found.test].reshape(10000, 784)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, mnist_dir):
    """A network that is trained on mnist5k and measured on the 10,000 test images of MNIST."""
    place = tmp_path_factory.mktemp("trained")
    learned = runner.run([*TRAINING, "epochs=5", "activation=gelu", f"output_dir={place}"])
    words = ["dataset=mnist", f"data_dir={mnist_dir}", "activation=gelu", "figures=none"]
    path = learned.folder / "weights.safetensors"
    words += ["network.hidden=[30,20]", "weights=file", f"weights.path='{path}'"]
    result = runner.run([*words, f"output_dir={place}", "batch_size=10000"])
    assert result.row["n"] == 10000
    assert result.accuracy > 0.8
    return result


def onnx_outputs(folder, x):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime and onnx")
    pytest.importorskip("onnx", reason="needs onnx")
    assert main(["export", "onnx", str(folder), "-o", "model.onnx"]) == 0
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession("model.onnx", options)
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape, made.name) == ("x", ["N", x.shape[1]], "y")
    kind = {"tensor(float)": np.float32, "tensor(double)": np.float64}[given.type]
    return session.run(["y"], {"x": x.astype(kind)})[0]


# ONNX


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("whose", ["own", "book"])
def test_onnxruntime_gives_the_same_10000_labels(whose, dtype, mnist_dir, capsys):
    book = mnist_dir.parent / "book/sample_weight.pkl"
    given = ["activation=sigmoid", "weights=file", f"weights.path='{book}'"]
    words = ["dataset=mnist", f"data_dir={mnist_dir}", f"dtype={dtype}", "timing.repeats=1"]
    run = runner.run([*words, *(given if whose == "book" else ())])
    assert run.row["correct"] == {"book": 9352, "own": 9811}[whose]
    y = onnx_outputs(run.folder, the_images(mnist_dir))
    expected = run.records.arrays
    assert y.shape == (10000, 10)
    assert y.dtype == dtype
    assert np.abs(y - expected["y"]).max() <= NEAR[dtype]
    np.testing.assert_array_equal(y.argmax(axis=1), expected["predicted"])
    h = {"book": "sigmoid", "own": "relu"}[whose]
    assert capsys.readouterr().out == (
        f"model.onnx: 784-50-100-10 {h} {h} softmax; opset 17, {dtype}; x (N, 784), raw -> y\n"
    )


FUNCTIONS = [
    *(f"activation={name}" for name in groups()["activation"]),
    "activation=elu activation.params.alpha=0.5",
    "activation=leaky_relu activation.params.negative_slope=0.3",
    "activation=gelu activation.params.approximate=tanh",
    "network.activations=[tanh,softplus]",
    *(f"output={name}" for name in groups()["output"] if name not in ("softmax", "pairwise")),
]


@pytest.mark.parametrize(
    ("words", "dtype"),
    [
        *((words, "float32") for words in FUNCTIONS),
        *((words, "float64") for words in FUNCTIONS[:3]),
    ],
)
def test_every_function_is_the_same_in_onnxruntime(words, dtype):
    result = untrained(*words.split(), f"dtype={dtype}")
    x = samples(result)
    y = onnx_outputs(result.folder, x)
    expected = result.records.arrays["y"]
    near = np.abs(y - expected).max(axis=1)
    # The error function is in float32: onnxruntime has no other.
    limit = NEAR["float32" if words == "activation=gelu" else dtype]
    if words.endswith("step"):  # a pre-activation next to 0 may be on the other side of it
        assert np.mean(near > limit) < 0.01
    else:
        assert near.max() <= limit * max(1, np.abs(expected).max())


def untrained(*words):
    """Return a run of inference on mnist5k with weights that are drawn here."""
    rng = np.random.default_rng(0)
    sizes = [784, 30, 20, 45 if "output=pairwise" in words else 10]
    arrays = {}
    for n, (rows, columns) in enumerate(pairwise(sizes), start=1):
        arrays[f"W{n}"] = rng.normal(0, rows**-0.5, (rows, columns)).astype("f4")
        arrays[f"b{n}"] = rng.normal(0, 0.5, columns).astype("f4")
    np.savez("given.npz", **arrays)
    given = ["weights=file", "weights.path=given.npz", "network.hidden=[30,20]", "timing.repeats=1"]
    return runner.run([*given, "dataset.limit=500", "timing.warmup=0", *words])


def samples(result):
    from runner.data.mnist5k import mnist5k

    return mnist5k().x[: result.row["n"]].reshape(-1, 784)


def test_pairwise_votes_are_the_same_in_onnxruntime():
    result = untrained("output=pairwise")
    y = onnx_outputs(result.folder, samples(result))
    assert y.shape == (500, 10)
    assert np.abs(y - result.records.arrays["y"]).max() <= 1e-5  # up to 10, and a step in it


def test_a_model_is_pinned_and_twice_the_same_bytes():
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    folder = str(untrained("dataset.normalize=false").folder)
    for name in ("a.onnx", "b.onnx"):
        assert main(["export", "onnx", folder, "-o", name]) == 0
    made = onnx.load("a.onnx")
    assert [(item.domain, item.version) for item in made.opset_import] == [("", 17)]
    assert made.ir_version == 8
    assert made.graph.node[0].op_type == "Gemm"  # nothing is divided
    assert Path("a.onnx").read_bytes() == Path("b.onnx").read_bytes()


def test_a_perceptron_in_onnxruntime():
    learned = runner.run(["experiment=perceptron_and", "figures=none"])
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    np.testing.assert_array_equal(onnx_outputs(learned.folder, corners), [[0], [0], [0], [1]])


# PyTorch


def test_pytorch_gives_the_same_10000_labels(trained, mnist_dir, capsys):
    torch = pytest.importorskip("torch", reason="needs torch")
    from safetensors.torch import load_file

    assert main(["export", "pytorch", str(trained.folder), "-o", "model.safetensors"]) == 0
    assert capsys.readouterr().out == (
        "model.safetensors: 784-30-20-10 gelu gelu softmax; 0.weight (outputs, inputs), 0.bias, "
        "2.weight, ...; inputs: samples of 784 numbers divided by 255\n"
    )
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(784, 30), nn.GELU(), nn.Linear(30, 20), nn.GELU(), nn.Linear(20, 10)
    )
    model.load_state_dict(load_file("model.safetensors"))
    with torch.no_grad():
        x = torch.from_numpy(the_images(mnist_dir).astype(np.float32) / 255)
        y = model(x).softmax(dim=1).numpy()
    assert np.abs(y - trained.records.arrays["y"]).max() <= NEAR["float32"]
    np.testing.assert_array_equal(y.argmax(axis=1), trained.records.arrays["predicted"])


def test_a_state_dict_of_pytorch_is_read(capsys):
    torch = pytest.importorskip("torch", reason="needs torch")
    from safetensors.torch import save_file

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = torch.nn.Linear(784, 10)
            self.fc2 = torch.nn.Linear(10, 10)  # square: its name decides
            self.out = torch.nn.Linear(10, 10)

        def forward(self, x):
            return self.out(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))

    torch.manual_seed(0)
    net = Net()
    state = {name.replace("out", "fc3"): array for name, array in net.state_dict().items()}
    save_file(state, "net.safetensors")
    words = ["network.hidden=[10,10]", "activation=tanh", "weights=file"]
    assert main([*words, "weights.path=net.safetensors", "dataset.limit=500"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert (
        "weights: PyTorch's names, matrices (outputs, inputs), transposed, "
        "layers 'fc1', 'fc2', 'fc3'" in shown
    )
    result = runner.run([*words, "weights.path=net.safetensors", "dataset.limit=500"])
    with torch.no_grad():
        x = torch.from_numpy(samples(result).astype(np.float32) / 255)
        expected = net(x).softmax(dim=1).numpy()
    assert np.abs(result.records.arrays["y"] - expected).max() <= NEAR["float32"]
    assert result.notes == [line for line in shown if line.startswith("weights: ")]


# scikit-learn


def test_scikit_learn_gives_the_same_10000_labels(trained, mnist_dir):
    from sklearn.neural_network import MLPClassifier

    words = ["activation=tanh", "weights=file", "network.hidden=[30,20]", "dataset=mnist"]
    learned = next(trained.folder.parents[2].glob("runs/*/*/weights.safetensors"))
    words += [f"weights.path='{learned}'", f"data_dir={mnist_dir}", "batch_size=10000"]
    result = runner.run([*words, "figures=none"])
    assert main(["export", "sklearn", str(result.folder)]) == 0
    x = the_images(mnist_dir).astype(np.float32) / 255
    model = MLPClassifier((30, 20), activation="tanh", max_iter=1)
    model.partial_fit(x[:10], np.arange(10), classes=np.arange(10))
    with np.load("model.npz") as found:
        model.coefs_ = [found[f"coefs_{i}"] for i in range(3)]
        model.intercepts_ = [found[f"intercepts_{i}"] for i in range(3)]
    np.testing.assert_array_equal(model.predict(x), result.records.arrays["predicted"])
    y = model.predict_proba(x)
    assert np.abs(y - result.records.arrays["y"]).max() <= NEAR["float32"]


def test_a_classifier_of_scikit_learn_is_read():
    from sklearn.neural_network import MLPClassifier

    rng = np.random.default_rng(0)
    x, t = rng.random((100, 784)), np.arange(100) % 10
    model = MLPClassifier((12,), activation="relu", max_iter=1)
    model.partial_fit(x, t, classes=np.arange(10))
    arrays = {f"coefs_{i}": W for i, W in enumerate(model.coefs_)}
    np.savez("m.npz", **arrays, **{f"intercepts_{i}": b for i, b in enumerate(model.intercepts_)})
    words = ["network.hidden=[12]", "weights=file", "weights.path=m.npz", "dtype=float64"]
    result = runner.run([*words, "dataset.limit=100"])
    y = model.predict_proba(samples(result) / 255)
    np.testing.assert_allclose(result.records.arrays["y"], y, rtol=1e-9, atol=1e-15)


# Names and layouts, without any of the programs


def test_every_way_out_is_a_way_in():
    given = untrained()
    for name in ("pytorch", "sklearn", "npz"):
        assert main(["export", name, str(given.folder), "-o", f"{name}.model"]) == 0
        assert weights.read(f"{name}.model").digest == weights.read("given.npz").digest


def written(arrays):
    path = Path("w.safetensors")
    path.write_bytes(dumps_arrays({name: np.asarray(a, "f4") for name, a in arrays.items()}, None))
    return path


def drawn(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


ORDERED = {
    "numbers of one and two digits": [f"layers.{n}" for n in range(12)],
    "numbers in any order": ["10", "9", "2"],
    "names by what goes into which": ["input", "hidden", "output"],
}


@pytest.mark.parametrize("case", ORDERED)
def test_layers_are_put_in_order(case):
    names = ORDERED[case]
    chain = sorted(names, key=lambda name: int("0" + re.sub("[^0-9]", "", name)))
    sizes = range(3, 4 + len(names))
    arrays = {}
    for name, rows, columns in zip(chain, sizes[:-1], sizes[1:], strict=True):
        arrays |= {f"{name}.weight": drawn(columns, rows), f"{name}.bias": drawn(columns)}
    read = weights.read(written({name: arrays[name] for name in reversed(arrays)}))
    assert read.sizes == list(sizes)
    np.testing.assert_array_equal(read.W[1], arrays[f"{chain[1]}.weight"].T.astype("f4"))


def test_a_square_layer_stands_before_the_one_that_leaves_its_width():
    shapes = {"last": (2, 5), "middle": (5, 5), "first": (5, 3)}
    arrays = {f"{name}.weight": drawn(*shape) for name, shape in shapes.items()}
    arrays |= {f"{name}.bias": drawn(shape[0]) for name, shape in shapes.items()}
    read = weights.read(written(arrays))
    assert read.sizes == [3, 5, 5, 2]
    np.testing.assert_array_equal(read.W[1], arrays["middle.weight"].T.astype("f4"))


@pytest.mark.parametrize(
    ("names", "shape", "transposed"),
    [
        (("0.weight", "0.bias"), (4, 4), True),  # by the name
        (("coefs_0", "intercepts_0"), (4, 4), False),
        (("W1", "b1"), (4, 4), False),
        (("0.weight", "0.bias"), (4, 3), True),
        (("0.weight", "0.bias"), (3, 4), False),  # by the shape, which fits one way only
        (("weight", "bias"), (4, 3), True),
        (("W1", "b1"), (4, 3), True),
        (("W1", "B1"), (3, 4), False),
        (("coefs_0", "intercepts_0"), (4, 3), True),
    ],
)
def test_the_layout_is_told_by_the_name_unless_only_the_other_fits(names, shape, transposed):
    W = drawn(*shape)
    read = weights.read(written({names[0]: W, names[1]: drawn(4)}))
    np.testing.assert_array_equal(read.W[0], (W.T if transposed else W).astype("f4"))
    assert ("transposed" in read.note) == transposed


OURS = "expected W1..Wn with b1..bn or B1..Bn, got"
BAD = {
    ("0.weight",): f"{OURS} '0.weight'",
    ("0.weight", "0.bias", "2.weight"): "layer '2': expected a matrix and a bias, got no bias",
    ("0.weight", "0.bias", "2.bias"): "layer '2': expected a matrix and a bias, got no matrix",
    ("0.weight", "0.bias", "0.bias.weight", "0.bias.bias", "bias"): "layer '': expected a matrix "
    "and a bias, got no matrix",
    ("a.weight", "a.bias", "b.weight", "b.bias"): "expected layers with numbers in their names, "
    "got 'a', 'b'",
    ("0.weight", "0.bias", "0.running_mean"): f"{OURS} '0.bias', '0.running_mean', '0.weight'",
    ("coefs_0", "intercepts_0", "W1"): f"{OURS} 'coefs_0', 'intercepts_0'",
}


@pytest.mark.parametrize("names", BAD)
def test_what_cannot_be_told_is_refused(names):
    arrays = {
        name: drawn(*(4, 4)[: 1 + (name[-6:] == "weight" or name[0] in "Wc")]) for name in names
    }
    with pytest.raises(weights.WeightsError) as refused:
        weights.read(written(arrays))
    assert str(refused.value) == f"w.safetensors: {BAD[names]}"


# What has no network to hand over


def test_what_cannot_be_exported_is_one_line(here, capsys):
    drawn_here = runner.run(["weights=none", "dataset.limit=5"]).folder
    stepped = runner.run(["experiment=descent", "figures=none"]).folder
    swept = here / "outputs/sweeps/s"
    runner.sweep(["dataset.limit=5,6", "sweep.name=s"])
    moved = untrained().folder
    np.savez("given.npz", W1=drawn(784, 10), b1=drawn(10))
    expected = {
        drawn_here: "a run that learned or read its weights, got weights=none",
        stepped: "a completed run of a network, got task=descent, completed",
        swept: "the folder of a run, got a sweep's (see its jobs/)",
        here: "the folder of a run, got no run.json",
        moved: "the weights of the run, got others",
    }
    for folder, message in expected.items():
        for form in ("pytorch", "sklearn", "npz"):
            assert main(["export", form, str(folder)]) == 2
            where = here / "given.npz" if folder == moved else folder
            assert capsys.readouterr().err == f"error: export: {where}: expected {message}\n"


def test_a_function_without_onnx_is_refused_and_nothing_is_run(here, capsys):
    pytest.importorskip("onnx", reason="needs onnx")
    result = untrained()
    config = result.folder / ".hydra/config.yaml"
    text = config.read_text().replace("activation:\n  name: relu", "activation:\n  name: own:mish")
    config.write_text(text)
    (here / "own.py").write_text("raise SystemExit('this was run')\n")
    assert main(["export", "onnx", str(result.folder)]) == 2
    names = ", ".join(sorted(groups()["activation"]))
    assert capsys.readouterr().err == (
        f"error: export: activation: expected one of {names}, got own:mish\n"
    )
    assert not (here / "model.onnx").exists()


def test_the_record_says_what_inputs_are_multiplied_with():
    record = store.read_record(untrained().folder)
    assert record["input_scale"] == 1 / 255


@pytest.mark.parametrize("kind", ["pytorch", "sklearn"])
def test_a_network_that_others_have_no_layers_for_is_refused(kind, capsys):
    words = [*TRAINING, "dataset=digits", "activation=maxout", "network.hidden=[8]"]
    folder = runner.run(words).folder
    assert main(["export", kind, str(folder), "-o", "out.bin"]) == 2
    assert "expected a unit for each column of its layer, got maxout" in capsys.readouterr().err
    assert not Path("out.bin").exists()
