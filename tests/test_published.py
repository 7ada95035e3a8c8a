"""The published rows in short: a part of the images, two epochs, and bands that are wide."""

import re

import pytest

import runner
from runner.choices import CONF, groups

# Accuracy; the whole experiments say in `expect` what they reach.
TIER_A = {  # after 10,000 images
    "hinton_500_300": 0.93,
    "lecun1998_1000": 0.89,
    "lecun1998_300": 0.88,
    "lecun1998_300_100": 0.895,
    "lecun1998_300_deskewed": 0.94,
    "lecun1998_500_150": 0.89,
    "lecun1998_linear": 0.87,
    "lecun1998_linear_deskewed": 0.915,
    "lecun1998_pairwise_deskewed": 0.935,
    "perceptron_averaged": 0.89,
    "saito_book_net": 0.92,
    "simard2003_800": 0.92,
    "sklearn_100_100_adam": 0.91,
}
LONGER = {  # after 2,000 images
    "goodfellow2013_maxout": 0.6,
    "keras_512_512": 0.7,
    "lecun1998_1000_distorted": 0.5,
    "lecun1998_300_100_distorted": 0.5,
    "lecun1998_300_distorted": 0.45,
    "lecun1998_500_150_distorted": 0.45,
    "simard2003_800_affine": 0.7,
    "simard2003_800_elastic": 0.7,
    "srivastava2014_dropout": 0.6,
    "srivastava2014_max_norm": 0.6,
}
LEAST = TIER_A | LONGER


def text(name):
    return (CONF / "experiment" / "published" / f"{name}.yaml").read_text(encoding="utf-8")


def test_every_row_is_here():
    assert set(LEAST) == set(groups()["experiment/published"])


@pytest.mark.parametrize("name", LEAST)
def test_a_row_learns(name, mnist_dir, tmp_path):
    words = [f"experiment=published/{name}", f"data_dir={mnist_dir}", f"output_dir={tmp_path}"]
    words += [f"dataset.limit={10_000 if name in TIER_A else 2_000}", "epochs=2"]
    words += ["threads=1", "figures=none"]
    assert runner.run(words).accuracy >= LEAST[name]


@pytest.mark.parametrize("name", LEAST)
def test_one_seed_may_be_as_far_from_the_target_as_chance_allows(name):
    # Half a percent is four binomial standard errors of 10,000 images at 1.5 %.
    (target,) = re.findall(r"Target: ([\d.]+) %", text(name))
    (least,) = re.findall(r"at_least: ([\d.]+)", text(name))
    assert float(target) - 0.2 <= 100 * (1 - float(least)) <= float(target) + 0.5


def rows_of(preset):
    path = CONF / "hydra" / "sweeper" / f"published_{preset}.yaml"
    return set(re.findall(r"published/(\w+)", path.read_text(encoding="utf-8")))


def test_the_sweeps_of_the_tiers_have_every_row():
    assert rows_of("tier_a") == set(TIER_A)
    assert rows_of("tier_b") | rows_of("tier_c") == set(LONGER)
    assert not rows_of("tier_b") & rows_of("tier_c")


def test_learning_rates_of_all_but_the_perceptron_were_chosen_by_a_sweep():
    presets = ("selection", "selection_adam", "selection_distorted", "selection_dropout")
    chosen = set().union(*map(rows_of, (*presets, "selection_rmsprop")))
    assert chosen == set(LEAST) - {"perceptron_averaged"}
