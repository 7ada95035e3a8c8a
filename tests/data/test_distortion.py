import math

import numpy as np
import pytest
from scipy import ndimage

from runner.data.digits import digits
from runner.data.distortion import LEVELS, affine, distorted, elastic, shift
from runner.data.mnist5k import mnist5k

KEEP = {"order": 1, "mode": "grid-constant"}
LIMITS = {"pixels": 3.0, "rotation": 25.0, "scale": 0.3, "shear": 0.4}


def images(n=20):
    return mnist5k().x[:n].astype(np.float32)


def draws(rng, n):
    """What is drawn for the affine part, by its names."""
    one, names = rng.uniform(-1, 1, (n, 6)), ("pixels", "pixels", "rotation", "scale", "scale")
    return one * [LIMITS[name] for name in (*names, "shear")]


def moved_and_turned(image, down, right, angle, taller, wider, slant):
    """SciPy's shear, scale, rotation and shift of one image about its centre."""
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    matrix = turn @ [[1, 0], [slant, 1]] @ np.diag(np.exp([taller, wider]))
    centre = (np.array(image.shape) - 1) / 2
    return ndimage.affine_transform(
        image, matrix, centre - matrix @ centre + np.array([down, right]), **KEEP
    )


def test_affine_maps_are_scipys():
    x = images()
    expected = [
        moved_and_turned(image, *drawn)
        for image, drawn in zip(x, draws(np.random.default_rng(5), len(x)), strict=True)
    ]
    made = affine(**LIMITS)(x, np.random.default_rng(5))
    assert (made.shape, made.dtype) == (x.shape, np.float32)
    np.testing.assert_allclose(made, expected, atol=0.01)  # of 255, in float32


def test_a_shift_is_scipys_and_leaves_nothing_at_the_other_edge():
    x = np.full((50, 8, 8), 200, np.float32)
    rng = np.random.default_rng(1)
    places = rng.uniform(-1, 1, (50, 6))[:, :2] * 3
    expected = [ndimage.shift(a, -place, **KEEP) for a, place in zip(x, places, strict=True)]
    made = shift(pixels=3)(x, np.random.default_rng(1))
    np.testing.assert_allclose(made, expected, atol=0.01)
    assert (made.min(), made.max()) == (0, 200)


@pytest.mark.parametrize(("sigma", "alpha"), [(4, 34), (1.5, 8)])
def test_elastic_displacements_are_those_of_simard(sigma, alpha):
    x, rng = images(), np.random.default_rng(2)
    rng.uniform(-1, 1, (len(x), 6))  # those of affine maps, which are not asked for
    fields = rng.uniform(-1, 1, (2, *x.shape))
    smooth = ndimage.gaussian_filter(fields, sigma, mode="constant", axes=(2, 3)) * alpha
    grid = np.indices(x.shape[1:])
    expected = [
        ndimage.map_coordinates(image, grid + smooth[:, i], **KEEP) for i, image in enumerate(x)
    ]
    made = elastic(sigma=sigma, alpha=alpha)(x, np.random.default_rng(2))
    np.testing.assert_allclose(made, expected, atol=0.02)
    # A Gaussian leaves of uniform noise, of variance 1/3, a share of 1 / (4 pi sigma^2).
    inside = smooth[:, :, 10:18, 10:18]
    assert inside.std() == pytest.approx(alpha / math.sqrt(12 * math.pi) / sigma, rel=0.15)


def test_nothing_asked_for_changes_nothing():
    x = images(3)
    for distortion in (shift(pixels=0), elastic(alpha=0)):
        np.testing.assert_allclose(distortion(x, np.random.default_rng(0)), x, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("sigma", 0, "above 0 to 100, got 0"),
        ("sigma", math.inf, "above 0 to 100, got inf"),
        ("alpha", math.nan, "from 0 to 1000, got nan"),
        ("pixels", -1, "from 0 to 100, got -1"),
        ("rotation", 181, "from 0 to 180, got 181"),
        ("scale", 4, "from 0 to 3, got 4"),
        ("shear", -0.1, "from 0 to 10, got -0.1"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(name, value, expected):
    with pytest.raises(ValueError, match=f"^{name}: expected a number {expected}$"):
        elastic(**{name: value})


def test_an_epoch_depends_on_seed_and_number_alone():
    x = digits().x[:1200]
    made = dict(distorted(x, elastic(), 3, range(1, 4)))
    assert [made[1].dtype, made[1].shape, list(made)] == [np.uint16, x.shape, [1, 2, 3]]
    assert made.keys() == {1, 2, 3}
    assert not np.array_equal(made[1], made[2])
    again = dict(distorted(x, elastic(), 3, range(2, 4)))
    for epoch in (2, 3):
        np.testing.assert_array_equal(made[epoch], again[epoch])
    other = dict(distorted(x, elastic(), 4, range(1, 2)))
    assert not np.array_equal(made[1], other[1])
    first = elastic()(
        x[:250].astype(np.float32),
        np.random.default_rng(np.random.SeedSequence(3, spawn_key=(3, 1, 0))),
    )
    assert np.abs(made[1][:250] / LEVELS - first).max() <= 0.5 / LEVELS


def test_values_beyond_the_range_are_its_ends():
    x = np.full((2, 4, 4), 255, np.uint8)
    ((_, made),) = distorted(x, lambda images, rng: images * [[[-1]], [[2]]], 0, range(1, 2))
    assert (set(made[0].ravel()), set(made[1].ravel())) == ({0}, {65535})


def test_what_is_not_wanted_any_more_is_not_made():
    met = []

    def slow(images, rng):
        met.append(len(images))
        return images

    epochs = distorted(np.zeros((10_000, 4, 4), np.uint8), slow, 0, range(1, 100))
    next(epochs)
    epochs.close()
    assert len(met) <= 80  # of the 40 chunks of the first epoch, and of the second one


def test_an_error_reaches_who_asks():
    def broken(images, rng):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        next(distorted(np.zeros((2, 4, 4), np.uint8), broken, 0, range(1, 3)))
