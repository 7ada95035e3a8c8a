import numpy as np
import pytest
from scipy import ndimage

from runner.data import DataError
from runner.data.curve import curve
from runner.data.dataset import build_dataset
from runner.data.deskew import deskew, deskewed
from runner.data.digits import digits
from runner.data.mnist5k import mnist5k


def oracle(image):
    """SciPy's shear of one image, by its moments as LeCun et al. have them."""
    y, x = np.indices(image.shape)
    mass = image.sum()
    y_mean, x_mean = (y * image).sum() / mass, (x * image).sum() / mass
    slant = ((y - y_mean) * (x - x_mean) * image).sum() / ((y - y_mean) ** 2 * image).sum()
    down, right = y_mean - (len(image) - 1) / 2, x_mean - (len(image.T) - 1) / 2
    matrix, offset = np.array([[1, 0], [slant, 1]]), np.array([0, right - slant * y_mean])
    keep = {"order": 1, "mode": "grid-constant"}
    sheared = ndimage.affine_transform(image, matrix, offset, **keep)
    return ndimage.shift(sheared, (-down, 0), **keep)


def slants(images):
    y, x = np.indices(images.shape[1:])
    mass = images.sum(axis=(1, 2))[:, None, None]
    y, x = (c - (c * images).sum(axis=(1, 2), keepdims=True) / mass for c in (y, x))
    return (x * y * images).sum(axis=(1, 2)) / (y**2 * images).sum(axis=(1, 2))


@pytest.mark.parametrize("load", [mnist5k, digits])
def test_each_image_is_sheared_as_scipy_shears_it(load):
    images = load().x[:200]
    upright = deskew(images)
    expected = [np.rint(oracle(image.astype(float))) for image in images]
    assert np.abs(upright - np.array(expected)).max() <= 1  # one of 255 grey values
    assert (upright.dtype, upright.shape) == (np.uint8, images.shape)


def test_digits_stand_upright_in_the_middle_afterwards():
    images = mnist5k().x[:1000].astype(float)
    upright = deskew(images.astype(np.uint8)).astype(float)
    before, after = np.abs(slants(images)), np.abs(slants(upright))
    assert np.median(before) > 0.2
    assert np.median(after) < 0.01
    centres = [ndimage.center_of_mass(image) for image in upright]
    np.testing.assert_allclose(np.median(centres, axis=0), [13.5, 13.5], atol=0.01)
    assert np.abs(np.array(centres) - 13.5).max() < 0.5


def test_an_image_with_nothing_to_shear_is_centred():
    images = np.zeros((3, 5, 7), np.uint8)
    images[1, 1] = 200  # a row: nothing is above it
    images[2, :, 2] = 100  # upright
    expected = np.zeros((3, 5, 7), np.uint8)
    expected[1, 2], expected[2, :, 3] = 200, 100
    assert np.array_equal(deskew(images), expected)


def test_what_leaves_the_image_is_lost():
    image = np.zeros((1, 9, 9), np.uint8)
    image[0, np.arange(9), np.arange(9)] = 255
    assert np.array_equal(deskew(image)[0].sum(axis=0), [0, 0, 0, 0, 9 * 255, 0, 0, 0, 0])
    wide = np.zeros((1, 5, 40), np.uint8)
    wide[0, [0, 2, 4], [0, 20, 39]] = 255
    wide[0, 1, 39] = 200
    assert np.array_equal(deskew(wide)[0], np.rint(oracle(wide[0].astype(float))))
    assert deskew(wide).sum(dtype=int) < wide.sum(dtype=int)


def test_a_dataset_keeps_all_but_its_images():
    plain = mnist5k()
    upright = deskewed(plain)
    assert np.array_equal(upright.t, plain.t)
    assert np.array_equal(upright.train, plain.train)
    assert (upright.classes, upright.maximum, upright.held_out) == (10, 255.0, "all")
    assert upright.digest != plain.digest


@pytest.mark.parametrize(
    ("dataset", "got"),
    [
        (curve(), "float64 (1,)"),
        (build_dataset(np.ones((2, 3, 3)), None, slice(0, 1), slice(1, 2)), "float64 (3, 3)"),
    ],
)
def test_samples_that_are_no_images_of_bytes(dataset, got):
    with pytest.raises(DataError) as caught:
        deskewed(dataset)
    expected = "deskew: expected images (height, width) of bytes"
    assert str(caught.value) == f"{expected}, got {got}"
