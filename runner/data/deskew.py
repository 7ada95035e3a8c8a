"""Slanted digits set upright (LeCun et al. 1998, section III.B: "deslanted")."""

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .dataset import Array, DataError, Dataset, build_dataset

CHUNK = 1000  # images that are moved together, in float32


def deskewed(dataset: Dataset) -> Dataset:
    """Return a dataset with every image sheared upright.

    Raises
    ------
    DataError
        If the samples are no images of bytes, (N, height, width).
    """
    if dataset.x.ndim != 3 or dataset.x.dtype != np.uint8:
        got = f"{dataset.x.dtype} {dataset.x.shape[1:]}"
        raise DataError(f"deskew: expected images (height, width) of bytes, got {got}")
    made = build_dataset(
        deskew(dataset.x), dataset.t, dataset.train, dataset.test, maximum=dataset.maximum
    )
    return replace(made, classes=dataset.classes, held_out=dataset.held_out)


def deskew(images: Array) -> Array:
    """Return images sheared along their rows until their principal axis is upright.

    A row y moves by -s (y - ȳ) pixels, s being the covariance of both coordinates over the
    variance of y, with the grey values as masses; between pixels, and at the edges to 0, values
    are interpolated linearly. Images with nothing above another stay as they are.

    Parameters
    ----------
    images : (N, height, width) uint8.

    Returns
    -------
    array (N, height, width) uint8
    """
    upright = np.empty_like(images)
    for first in range(0, len(images), CHUNK):
        some = slice(first, first + CHUNK)
        upright[some] = _sheared(images[some])
    return upright


def _sheared(images: Array) -> Array:
    _, height, width = images.shape
    y, x = np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float32)
    rows = images.sum(axis=2, dtype=np.float64)
    mass = np.maximum(rows.sum(axis=1), 1.0)
    moments = images.astype(np.float32) @ x  # of each row; whole numbers, exact in float32
    y_mean, x_mean = rows @ y / mass, moments.sum(axis=1, dtype=np.float64) / mass
    covariance = moments @ y / mass - y_mean * x_mean
    variance = rows @ y**2 / mass - y_mean**2
    slant = np.where(variance > 0, covariance / np.where(variance > 0, variance, 1), 0)
    shift = slant[:, None] * (y - y_mean[:, None])  # how far to the right a row comes from
    whole = np.floor(shift)
    share = (shift - whole).astype(np.float32)[:, :, None]
    start = np.clip(whole, -width - 1, width).astype(np.intp) + width + 1
    padded = np.pad(images, ((0, 0), (0, 0), (width + 1, width + 1)))  # 0 beyond both edges
    windows = sliding_window_view(padded, width, axis=2)
    image, row = np.ogrid[: len(images), :height]
    near, far = (windows[image, row, start + step].astype(np.float32) for step in (0, 1))
    far -= near
    far *= share
    far += near
    moved: Array = np.rint(far, out=far).astype(np.uint8)
    return moved
