"""Slanted digits set upright and centred (LeCun et al. 1998, section III.B: "deslanted")."""

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .dataset import Array, DataError, Dataset, build_dataset

CHUNK = 1000  # images that are moved together, in float32


def deskewed(dataset: Dataset) -> Dataset:
    """Return a dataset with every image sheared upright and centred.

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
    """Return images sheared along their rows until their principal axis is upright, and centred.

    A row y moves by -s (y - ȳ) pixels, s being the covariance of both coordinates over the
    variance of y, with the grey values as masses. Then the centre of mass is moved into the
    middle. Between pixels, and at the edges to 0, values are interpolated linearly. Images with
    nothing above another are only centred, and empty ones stay as they are.

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
        upright[some] = np.rint(_upright(images[some].astype(np.float32)))
    return upright


def _upright(images: Array) -> Array:
    _, height, width = images.shape
    y, x = np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float32)
    rows = images.sum(axis=2, dtype=np.float64)
    mass = rows.sum(axis=1)
    empty = mass == 0
    mass[empty] = 1
    moments = images @ x  # of each row
    y_mean, x_mean = rows @ y / mass, moments.sum(axis=1, dtype=np.float64) / mass
    covariance = moments @ y / mass - y_mean * x_mean
    variance = rows @ y**2 / mass - y_mean**2
    flat = variance < 1e-9  # rounding may leave something of 0
    slant = np.where(flat, 0, covariance / np.where(flat, 1, variance))
    right, down = x_mean - (width - 1) / 2, y_mean - (height - 1) / 2
    right[empty] = down[empty] = 0
    sheared = _shifted(images, slant[:, None] * (y - y_mean[:, None]) + right[:, None])
    columns = sheared.transpose(0, 2, 1)
    return _shifted(columns, np.repeat(down[:, None], width, axis=1)).transpose(0, 2, 1)


def _shifted(images: Array, shift: Array) -> Array:
    """Return images (N, rows, length) with each row taken from ``shift``, (N, rows), further on."""
    number, rows, length = images.shape
    whole = np.floor(shift)
    share = (shift - whole).astype(np.float32)[:, :, None]
    start = np.clip(whole, -length - 1, length).astype(np.intp) + length + 1
    padded = np.pad(images, ((0, 0), (0, 0), (length + 1, length + 1)))  # 0 beyond both edges
    windows = sliding_window_view(padded, length, axis=2)
    image, row = np.ogrid[:number, :rows]
    near: Array = windows[image, row, start]
    far: Array = windows[image, row, start + 1]
    far -= near
    far *= share
    far += near
    return far
