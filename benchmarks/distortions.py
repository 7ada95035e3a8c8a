"""Seconds to distort MNIST's 60,000 images once, beside the same places read by SciPy.

python benchmarks/distortions.py
"""

import time

import numpy as np
from scipy.ndimage import map_coordinates

from runner.data import distortion
from runner.data.distortion import CHUNK, elastic

CHUNKS = 60_000 // CHUNK


def by_scipy(images: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return what `_resampled` does, by one call for each image."""
    made = np.empty_like(images)
    for number, image in enumerate(images):
        places = at[:, number]
        map_coordinates(image, places, output=made[number], order=1, mode="grid-constant")
    return made


def main() -> None:
    """Time a tenth of an epoch with each, in turns."""
    rng = np.random.default_rng(0)
    images = (255 * rng.random((CHUNK, 28, 28))).astype(np.float32)
    distort = elastic(rotation=10, scale=0.1)
    ways = {"runner": distortion._resampled, "scipy": by_scipy}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(5):
        for name, way in ways.items():
            distortion._resampled = way
            started = time.perf_counter()
            for _ in range(CHUNKS // 10):
                distort(images, rng)
            seconds[name].append(10 * (time.perf_counter() - started))
    for name, measured in seconds.items():
        print(f"{name:8} {np.median(measured):6.2f} s an epoch, median of {len(measured)}")


if __name__ == "__main__":
    main()
