import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from runner.report import figures
from runner.tables.columns import frame


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def history(accuracy=True):
    kinds = ("loss", "accuracy") if accuracy else ("loss",)
    names = [f"{split}_{kind}" for split in ("train", "test") for kind in kinds]
    return frame("history", [{"epoch": i, **dict.fromkeys(names, 1 / i)} for i in (1, 2, 3, 4)])


def test_learning_curves_are_a_picture_of_the_table():
    both, loss = (figures.learning_curves(history(accuracy)) for accuracy in (True, False))
    assert pixels(both).shape == (432, 1200, 3)
    assert pixels(loss).shape == (432, 600, 3)  # a regression has no accuracy
    assert figures.learning_curves(history()) == both
    assert figures.learning_curves(history().head(3)) != both


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_confusion_is_dark_where_the_counts_are(classes):
    counts = np.eye(classes, dtype=int) * 7
    table = pd.DataFrame(counts)
    table.insert(0, "true", range(classes))
    picture = pixels(figures.confusion(table)).sum(axis=2)
    # Inside the frame: the diagonal from top left to bottom right is dark, the rest is white.
    height, width = picture.shape
    assert height == width <= 2400
    dark = picture < 500
    middle = slice(height // 4, 3 * height // 4)
    assert dark[middle, middle].mean() < 0.8
    assert dark[middle, middle].mean() > 0.5 / classes


def test_a_class_without_samples_is_no_error():
    table = pd.DataFrame([[0, 0, 0], [1, 1, 3]], columns=["true", "0", "1"])
    assert pixels(figures.confusion(table)).shape[2] == 3
