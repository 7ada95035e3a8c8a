import io

import numpy as np
import pytest
from PIL import Image

from runner.report.boundary import decision_boundary

X = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
BLUE, ORANGE = (0.75 + 0.25 * np.array(rgb) / 255 for rgb in ((31, 119, 180), (255, 127, 14)))


def picture(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) / 255


def share(pixels, colour):
    return (np.abs(pixels - colour).max(axis=2) < 0.01).mean()


def half_plane(w1, w2, b):
    return lambda points: (points @ np.array([w1, w2], points.dtype) + b > 0).astype(int)


def test_half_planes_are_shaded_by_class():
    # x1 > 0.2 on [-0.4, 1.4]: a third is class 0, two thirds are class 1, left and right.
    pixels = picture(decision_boundary(X, np.array([0, 1, 0, 1]), half_plane(1, 0, -0.2)))
    zero, one = share(pixels, BLUE), share(pixels, ORANGE)
    assert zero + one > 0.6
    assert one / zero == pytest.approx(2, rel=0.05)
    columns = [
        np.flatnonzero((np.abs(pixels - colour).max(axis=2) < 0.01).any(axis=0))
        for colour in (BLUE, ORANGE)
    ]
    assert columns[0].max() < columns[1].min()


def test_the_second_input_points_upwards():
    pixels = picture(decision_boundary(X, np.array([0, 0, 1, 1]), half_plane(0, 1, -0.5)))
    middle = pixels[:, pixels.shape[1] // 3]
    rows = [np.flatnonzero(np.abs(middle - colour).max(axis=1) < 0.01) for colour in (BLUE, ORANGE)]
    assert rows[1].max() < rows[0].min()


def test_the_line_is_drawn():
    t = np.array([0, 0, 0, 1], np.uint8)
    one = picture(decision_boundary(X, t, half_plane(0, 0, -1)))
    two = picture(decision_boundary(X, t, half_plane(1, 1, -1.5)))
    black = [(pixels.max(axis=2) < 0.2).mean() for pixels in (one, two)]
    assert black[1] > 1.05 * black[0]
    assert share(one, ORANGE) == 0


def test_three_classes_and_samples_at_one_place():
    x = np.zeros((3, 2))
    png = decision_boundary(x, np.arange(3), lambda points: np.argmax(points @ np.eye(2, 3), 1))
    assert picture(png).shape == (504, 624, 3)


def test_equal_data_give_equal_files():
    t = np.array([0, 1, 1, 0])
    made = [decision_boundary(X, t, half_plane(1, 2, b)) for b in (-2, -2, -1)]
    assert made[0] == made[1] != made[2]
