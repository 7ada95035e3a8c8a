"""Images changed at random while they are learned: shifted, turned, stretched like rubber.

A distortion is a function of images (n, height, width) and a random generator that returns as
many new images of the same size. Those here interpolate linearly between pixels, and to 0
beyond the edges.
"""

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from .dataset import Array

Distortion = Callable[[Array, np.random.Generator], Array]
CHUNK = 250  # images that are distorted together, from one random generator
LEVELS = 256  # of a distorted pixel between one grey level and the next
LARGEST = {"sigma": 100, "alpha": 1000, "pixels": 100, "rotation": 180, "scale": 3, "shear": 10}
STREAM = 3  # beside the streams of first weights, order of samples and dropout


def none() -> None:
    """Return no distortion."""


def shift(*, pixels: float = 2.0) -> Distortion:
    """Return what moves images by up to so many pixels along either axis."""
    return affine(pixels=pixels, rotation=0, scale=0, shear=0)


def affine(
    *, pixels: float = 2.0, rotation: float = 10.0, scale: float = 0.1, shear: float = 0.2
) -> Distortion:
    """Return what moves, turns, scales and shears images about their centres.

    All are drawn uniformly: the shift along each axis from ±``pixels``, the angle from
    ±``rotation`` degrees, the logarithm of each axis' factor from ±``scale``, and the pixels
    that a row moves for each row between it and the centre from ±``shear``.
    """
    return elastic(sigma=1, alpha=0, pixels=pixels, rotation=rotation, scale=scale, shear=shear)


def elastic(
    *,
    sigma: float = 4.0,
    alpha: float = 34.0,
    pixels: float = 0.0,
    rotation: float = 0.0,
    scale: float = 0.0,
    shear: float = 0.0,
) -> Distortion:
    """Return what displaces the pixels of images smoothly (Simard et al. 2003, section 2).

    Each pixel's displacement along each axis is drawn uniformly from ±1, smoothed by a Gaussian
    of ``sigma`` pixels, and multiplied by ``alpha``. The rest is that of `affine`.

    Raises
    ------
    ValueError
        Where a parameter is below 0 or larger than ``LARGEST`` of it, or sigma is 0.
    """
    given = (sigma, alpha, pixels, rotation, scale, shear)
    for (name, largest), value in zip(LARGEST.items(), given, strict=True):
        least = "above 0" if name == "sigma" else "from 0"
        if not 0 <= value <= largest or (name == "sigma" and value == 0):
            raise ValueError(f"{name}: expected a number {least} to {largest}, got {value}")
    drawn = np.array([pixels, pixels, math.radians(rotation), scale, scale, shear])
    return partial(_distorted, drawn=drawn, sigma=sigma, alpha=alpha)


DISTORTIONS: dict[str, Callable[..., Distortion | None]] = {
    "none": none,
    "shift": shift,
    "affine": affine,
    "elastic": elastic,
}


def distorted(
    images: Array, distortion: Distortion, seed: int, epochs: range
) -> Iterator[tuple[int, Array]]:
    """Yield each epoch's number and its images, which a thread makes while the last are learned.

    The images of an epoch depend on the seed, its number and nothing else.

    Parameters
    ----------
    images : (N, height, width) uint8.

    Yields
    ------
    int, array (N, height, width) uint16
        In 256ths of a grey level, so that rounding to them costs nothing.
    """
    closed = threading.Event()

    def make(epoch: int) -> Array:
        made = np.empty(images.shape, np.uint16)
        for chunk, first in enumerate(range(0, len(images), CHUNK)):
            if closed.is_set():
                break
            some = slice(first, first + CHUNK)
            key = np.random.SeedSequence(seed, spawn_key=(STREAM, epoch, chunk))
            changed = distortion(images[some].astype(np.float32), np.random.default_rng(key))
            made[some] = np.clip(np.rint(changed * LEVELS), 0, np.iinfo(made.dtype).max)
        return made

    with ThreadPoolExecutor(1) as worker:
        try:
            ahead = worker.submit(make, epochs.start)
            for epoch in epochs:
                ready = ahead.result()
                if epoch + 1 in epochs:
                    ahead = worker.submit(make, epoch + 1)
                yield epoch, ready
        finally:
            closed.set()


def _distorted(
    images: Array, rng: np.random.Generator, *, drawn: Array, sigma: float, alpha: float
) -> Array:
    n, height, width = images.shape
    at = _mapped(rng.uniform(-1, 1, (n, len(drawn))) * drawn, height, width)
    if alpha:
        at += alpha * _smoothed(rng.uniform(-1, 1, at.shape).astype(np.float32), sigma)
    return _resampled(images, at)


def _mapped(drawn: Array, height: int, width: int) -> Array:
    """Return where affine maps take each pixel from: rows and columns (2, n, height, width)."""
    sine, cosine = np.sin(drawn[:, 2]), np.cos(drawn[:, 2])
    turn = np.array([[cosine, -sine], [sine, cosine]])
    down, right = np.exp(drawn[:, 3:5]).T
    stretch = np.array([[down, np.zeros_like(down)], [drawn[:, 5] * down, right]])
    maps = np.einsum("ijn,jkn->nik", turn, stretch)
    centre = np.array([[height - 1], [width - 1]]) / 2
    pixels = np.indices((height, width)).reshape(2, -1) - centre
    at = maps @ pixels + (drawn[:, :2, None] + centre)
    rows, columns = at.astype(np.float32).reshape(-1, 2, height, width).swapaxes(0, 1)
    return np.stack([rows, columns])


def _smoothed(fields: Array, sigma: float) -> Array:
    """Return fields (..., height, width) filtered by a Gaussian, with 0 beyond the edges.

    Such a filter along an axis is a matrix, and two products are quicker than filtering.
    """
    from scipy.ndimage import gaussian_filter1d

    down, right = (
        gaussian_filter1d(np.eye(n), sigma, axis=0, mode="constant").astype(fields.dtype)
        for n in fields.shape[-2:]
    )
    smooth: Array = down @ (fields @ right.T)
    return smooth


def _resampled(images: Array, at: Array) -> Array:
    """Return images (n, height, width) with the values that they have at other places.

    benchmarks/distortions.py compares it with SciPy's map_coordinates, which is slower.
    """
    n, height, width = images.shape
    rows, columns = np.clip(at[0], -1, height), np.clip(at[1], -1, width)
    top, left = np.floor(rows), np.floor(columns)
    rows -= top  # what lies between two pixels
    columns -= left
    below = width + 2  # numbers from a pixel to the one below, in images with 0 around them
    around = np.zeros((n + 1, height + 2, below), images.dtype)  # one more, for beyond the last
    around[:n, 1:-1, 1:-1] = images
    number = (top * below + left).astype(np.intp)
    number += (np.arange(n) * (height + 2) * below + below + 1)[:, None, None]
    pixels = around.ravel()
    upper = _between(pixels[number], pixels[number + 1], columns)
    number += below
    lower = _between(pixels[number], pixels[number + 1], columns)
    return _between(upper, lower, rows)


def _between(one: Array, other: Array, share: Array) -> Array:
    other -= one
    other *= share
    one += other
    return one
