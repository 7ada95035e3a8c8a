import io
import re

import numpy as np
import pytest
from PIL import Image

from runner.report import curves

X = np.arange(-5.0, 5.0, 0.1)
STEP, RELU = (X > 0).astype(float), np.maximum(X, 0)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def of_colour(picture, colour, within=30):
    return (np.abs(picture - colour).max(axis=2) <= within).sum()


def axis_limits(monkeypatch, draw):
    """Return the vertical limits of every panel that a function draws."""
    drawn = []
    monkeypatch.setattr(curves, "to_png", lambda figure: drawn.append(figure) or b"")
    draw()
    return [axes.get_ylim() for axes in drawn[0].axes]


def test_functions_have_a_panel_each():
    one = pixels(curves.functions(X, {"step": STEP}))
    two = pixels(curves.functions(X, {"step": STEP, "relu": RELU}))
    four = pixels(curves.functions(X, dict.fromkeys("abcd", RELU)))
    height, width, _ = one.shape
    assert two.shape == (height, 2 * width, 3)
    assert four.shape == (2 * height, 3 * width, 3)


def test_the_books_limits(monkeypatch):
    tanh = np.tanh(X)
    limits = axis_limits(
        monkeypatch,
        lambda: curves.functions(X, {"step": STEP, "relu": RELU, "tanh": tanh, "x": X}),
    )
    assert limits[:2] == [(-0.1, 1.1), (-1.0, 5.5)]
    assert limits[2][0] < -1 < 1 < limits[2][1] < 1.2
    assert limits[3][0] < -5 < 4.9 < limits[3][1]


def test_functions_do_not_ask_for_an_order():
    backwards = curves.functions(X[::-1], {"relu": RELU[::-1]})
    assert backwards == curves.functions(X, {"relu": RELU})
    assert backwards != curves.functions(X, {"relu": STEP})


def test_path_goes_over_the_contours(monkeypatch):
    points = np.outer(0.8 ** np.arange(20), (-3.0, 4.0))
    x = np.array(np.meshgrid(np.linspace(-4, 1, 31), np.linspace(-1, 5, 31)))
    surface = np.array([*x, (x**2).sum(axis=0)])
    values = (points**2).sum(axis=1)
    assert pixels(curves.path(points, values, surface)).shape == (480, 1200, 3)
    assert curves.path(points, values, surface) != curves.path(points, values, 2 * surface)
    plane, by_step = axis_limits(monkeypatch, lambda: curves.path(points, values, surface))
    assert plane == (-1, 5)
    assert by_step[0] < values[-1] < values[0] < by_step[1]


@pytest.mark.parametrize("last", [0.0, 24.9, -1.0])
def test_values_that_are_near_or_not_above_0_have_a_linear_axis(last):
    x = np.array(np.meshgrid([0.0, 1.0], [0.0, 1.0]))
    surface = np.array([*x, x[0]])
    picture = curves.path(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([25.0, last]), surface)
    assert pixels(picture).shape == (480, 1200, 3)


def test_fit_is_drawn_in_the_order_of_x():
    x = np.linspace(0, 1, 50)[:, None]
    t, y = np.cos(x), np.sin(6 * x)
    mixed = np.random.RandomState(0).permutation(50)
    assert curves.fit(x[mixed], t[mixed], y[mixed]) == curves.fit(x[:, 0], t[:, 0], y[:, 0])
    assert curves.fit(x, t, y) != curves.fit(x, t, t)


def test_activations_have_one_range_for_all_layers():
    rng = np.random.RandomState(0)
    layers = {f"z{i}": rng.standard_normal((100, 10)) * i for i in range(1, 8)}
    assert pixels(curves.activations(layers)).shape == (624, 1560, 3)
    assert curves.activations({"z1": layers["z1"]}) != curves.activations({"z1": layers["z2"]})
    dead = pixels(curves.activations({"z1": np.zeros((4, 3))}))
    assert dead.shape == (312, 312, 3)


def test_images_are_dark_where_they_are_large():
    x = np.zeros((1, 28, 28), np.uint8)
    x[0, 14:] = 255
    picture = pixels(curves.images(x, np.array([5]), None)).sum(axis=2)
    height, width = picture.shape
    middle = slice(width // 4, 3 * width // 4)
    # The title is above, so the image's own middle is a little below the picture's.
    assert picture[3 * height // 4, middle].max() < 100
    assert picture[height // 3, middle].min() > 700


def test_wrong_images_have_a_red_title():
    x, t = np.zeros((3, 8, 8)), np.array([1, 2, 3])
    right, wrong, unknown = (
        pixels(curves.images(x, *classes)) for classes in ((t, t), (t, t[::-1]), (None, t))
    )
    red = (214, 39, 40)
    assert of_colour(wrong, red) > 20
    assert of_colour(right, red) == of_colour(unknown, red) == 0


def test_a_hundred_images_are_enough():
    x = np.zeros((250, 8, 8))
    assert curves.images(x, None, None) == curves.images(x[:100], None, None)
    assert pixels(curves.images(x, None, None)).shape[:2] == (1560, 1320)
    assert pixels(curves.images(x[:12], None, None)).shape[:2] == (312, 1320)


def test_first_layer_is_red_above_and_blue_below_0():
    W1 = np.zeros((16, 2))
    W1[:8, 0], W1[8:, 0] = 0.5, -0.5
    picture = pixels(curves.first_layer(W1))
    height, width, _ = picture.shape
    left, right = picture[:, : width // 2], picture[:, width // 2 :]
    red, blue = of_colour(left, RED), of_colour(left, BLUE)
    assert red == pytest.approx(blue, rel=0.1)
    assert red + blue > 0.6 * left.shape[0] * left.shape[1]
    assert of_colour(left[: height // 2 - 3], BLUE) == 0
    assert (right > 250).all()


def test_first_layer_of_inputs_that_are_no_image():
    message = "W1: expected the weights of square images, got 10 inputs"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        curves.first_layer(np.zeros((10, 3)))


@pytest.mark.parametrize("units", [1, 10, 50, 130])
def test_first_layer_has_a_place_for_each_unit(units):
    shown = min(units, 100)
    shape = pixels(curves.first_layer(np.ones((4, units)))).shape
    assert shape == (120 * -(-shown // 10), 120 * min(shown, 10), 3)
