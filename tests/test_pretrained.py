"""The weights that the project ships come from its own experiment."""

import re

import pytest
from safetensors import safe_open

import runner
from runner import environment
from runner.weights import PRETRAINED


def arithmetic(path):
    with safe_open(path, framework="numpy") as file:
        return file.metadata()["arithmetic"]


@pytest.fixture(scope="module")
def trained(mnist_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    words = [f"data_dir={mnist_dir}", f"output_dir={folder}", "figures=none"]
    return runner.run(["experiment=pretrain_mnist", *words])


def test_the_experiment_learns_what_was_not_held_out(trained):
    whole = trained.tables["accuracy"].set_index(["split", "class"])["n"]
    assert whole["train", "all"] == 55_000
    assert whole["test", "all"] == 10_000
    assert trained.accuracy >= 1 - 0.024


def test_the_experiment_is_as_good_as_the_shipped_file(trained, mnist_dir, tmp_path):
    words = ["dataset=mnist", f"data_dir={mnist_dir}", f"output_dir={tmp_path}"]
    assert trained.accuracy == pytest.approx(runner.run(words).accuracy, abs=0.004)


def test_the_shipped_file_names_an_arithmetic_as_a_run_does(trained):
    # Processor, NumPy, its library of products, threads; on one machine they are equal.
    ours, shipped = arithmetic(trained.folder / "weights.safetensors"), arithmetic(PRETRAINED)
    assert len(shipped.split("; ")) == 4
    assert re.fullmatch(r".+; numpy [\d.]+; openblas [\d.]+ \w+; threads 1", shipped)
    assert ours == environment.arithmetic(1)


def test_the_experiment_gives_the_shipped_file(trained):
    path = trained.folder / "weights.safetensors"
    ours, shipped = arithmetic(path), arithmetic(PRETRAINED)
    if ours != shipped:
        # Another processor rounds differently, and 20 epochs later only the accuracy is alike.
        pytest.skip(f"the weights come from {shipped!r}, and this is {ours!r}")
    assert path.read_bytes() == PRETRAINED.read_bytes()
