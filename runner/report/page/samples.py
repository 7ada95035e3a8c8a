"""The samples of a run that its network was least able to read, as pictures."""

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.data import DATASETS, DataError
from runner.data.dataset import samples
from runner.lookup import parameters
from runner.report.page.blocks import Gallery, Image, png
from runner.tables.results import Results
from runner.tables.strict import Row

Array = NDArray[Any]
# The program's own readers of images.
SOURCES = ("digits", "fashion_mnist", "file", "mnist", "mnist5k")
MOST = 24  # pictures of each kind


@dataclass
class Decisions:
    """Images (N, height, width) with their labels, the outputs for them, and the decisions."""

    x: Array
    t: Array
    y: Array
    predicted: Array


def decisions(table: Results, row: Row) -> Decisions:
    """Return the images that a run was measured on, and what its network said of them.

    Raises
    ------
    ValueError
        When they are not images, are not here, or are no longer those that the run saw.
    """
    arrays = table.outputs(row)
    if arrays is None:
        raise ValueError("the run left no predictions of classes")
    if arrays["y"].shape[1] < 2:
        raise ValueError("a single output has no second best")
    x, t = images(table.settings(row), row)
    if t is None or not np.array_equal(t, arrays["t"]):
        raise ValueError("the samples of the dataset have other labels than those of the run")
    return Decisions(x, **arrays)


def images(settings: dict[str, Any], row: Row) -> tuple[Array, Array | None]:
    """Return the images and labels of the split that a run was measured on."""
    options = settings["dataset"]
    name = options["name"]
    if name not in SOURCES:
        raise ValueError(f"{name} has no images that a report could read again")
    maker = DATASETS[name]
    offered = {"data_dir": settings.get("data_dir"), "path": options["path"], "download": False}
    known = parameters(maker)
    given = {key: value for key, value in offered.items() if key in known}
    try:
        dataset = maker(**options["params"], **given)
    except DataError as error:
        raise ValueError(f"the data is not here: {error}") from error
    if dataset.x.ndim != 3:
        raise ValueError(f"{name} has no images")
    if dataset.digest[:12] != row.get("data_hash"):
        raise ValueError(f"{name} is no longer what the run saw (data_hash {row.get('data_hash')})")
    split = options["split"] if row.get("task") == "inference" else "test"
    return samples(dataset, dataset.held_out if split == "auto" else split, options["limit"])


def galleries(made: Decisions) -> list[Gallery]:
    """Return the samples that were read wrongly with the largest output, and the closest calls."""
    order = np.sort(made.y, axis=1)
    margin = order[:, -1] - order[:, -2]
    wrong = np.flatnonzero(made.predicted != made.t)
    surest = wrong[np.argsort(-order[wrong, -1], kind="stable")][:MOST]
    closest = np.argsort(margin, kind="stable")[:MOST]
    found = []
    if len(surest):
        about = f"Of the {len(wrong):,} samples that were read wrongly, those with the largest "
        about += "output for the wrong class: true class → what was read, and the output for it."
        found.append(Gallery("Most confidently wrong", about, pictured(made, surest)))
    about = "The samples whose two largest outputs lie closest together, right or wrong."
    found.append(Gallery("Most confused", about, pictured(made, closest)))
    return found


def pictured(made: Decisions, chosen: Array) -> list[Image]:
    """Return samples as pictures, with what is true and what was read."""
    found = []
    for index in chosen:
        true, read = int(made.t[index]), int(made.predicted[index])
        output = f"{made.y[index, read]:.4g}"
        words = f"Sample {index}: {true}, read as {read} with output {output}"
        found.append(Image(png(gray(made.x[index])), words, f"{true} → {read}, {output}"))
    return found


def gray(image: Array) -> bytes:
    """Return an image (height, width) as a PNG file, dark where it is large.

    The format: https://www.w3.org/TR/png-3/, colour type 0, no filter.
    """
    low, high = float(image.min()), float(image.max())
    scaled = (image.astype(np.float64) - low) / ((high - low) or 1.0)
    pixels = (255 - 255 * scaled).round().astype(np.uint8)
    height, width = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
