"""Pictures of functions, descents, samples and weights, each made from a run's arrays."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.report.figures import new_figure, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]
# Where all values lie between the first two, the axis has the others (as the book draws them).
LIMITS = ((0.0, 1.0, -0.1, 1.1), (0.0, 5.0, -1.0, 5.5))
FEW = 20  # points that are drawn as points, not as a curve
MOST = 100  # images of a grid
COLUMNS = 10


def functions(x: Array, curves: Mapping[str, Array]) -> bytes:
    """Return a PNG of a panel for each function.

    The vertical axis is the book's where the values allow it: -0.1 to 1.1,
    or -1 to 5.5 for ReLU (book 3.2).

    Parameters
    ----------
    x : (points,), in any order.
    curves : the values at x by name.
    """
    figure, panels = _panels(len(curves), min(len(curves), 3), 4.0, 3.2)
    order = np.argsort(x, kind="stable")
    for axes, (name, y) in zip(panels, curves.items(), strict=True):
        axes.plot(x[order], y[order], "o" if len(x) <= FEW else "-")
        axes.set(title=name, xlabel="x")
        for least, most, bottom, top in LIMITS:
            if least <= y.min() and y.max() <= most:
                axes.set_ylim(bottom, top)
                break
        axes.grid(alpha=0.3)
    return to_png(figure)


def path(points: Array, values: Array, surface: Array) -> bytes:
    """Return a PNG of a descent in two dimensions, and of the function's value by step.

    Parameters
    ----------
    points, values : (steps + 1, 2) and (steps + 1,).
    surface : (3, m, m), a grid of x0, of x1, and of the function's value there.
    """
    figure, (plane, by_step) = _panels(2, 2, 5.0, 4.0)
    plane.contour(*surface, levels=20, colors="0.8", linewidths=0.7)
    plane.plot(points[:, 0], points[:, 1], "o-", color="tab:red", markersize=3, linewidth=1)
    plane.plot(*points[0], "s", color="black", fillstyle="none", markersize=9, label="start")
    plane.plot(*points[-1], "*", color="tab:blue", markersize=9, label="end")
    plane.set(xlabel="x0", ylabel="x1")
    plane.legend()
    by_step.plot(values, "o-", color="tab:red", markersize=3, linewidth=1)
    wide = 0 < 10 * np.min(values) < np.max(values)
    by_step.set(xlabel="step", ylabel="f(x)", yscale="log" if wide else "linear")
    by_step.grid(alpha=0.3)
    return to_png(figure)


def fit(x: Array, t: Array, y: Array) -> bytes:
    """Return a PNG of a regression with one input: samples, and the curve through the outputs.

    Parameters
    ----------
    x, t, y : (N, 1) or (N,): inputs, targets and outputs, in any order.
    """
    figure, (axes,) = _panels(1, 1, 6.0, 4.0)
    order = np.argsort(np.ravel(x), kind="stable")
    x, t, y = (np.ravel(array)[order] for array in (x, t, y))
    axes.plot(x, t, "o", markersize=3, alpha=0.6, label="samples t")
    axes.plot(x, y, "-", color="tab:red", label="network y")
    axes.set(xlabel="x")
    axes.grid(alpha=0.3)
    axes.legend()
    return to_png(figure)


def activations(layers: Mapping[str, Array]) -> bytes:
    """Return a PNG of a histogram per layer over one range (book 6.2.2, 6.2.3).

    Parameters
    ----------
    layers : activations (batch, units) by name, first layer first.
    """
    figure, panels = _panels(len(layers), min(len(layers), 5), 2.6, 2.6)
    low = min(0.0, *(float(np.min(z)) for z in layers.values()))
    high = max(float(np.max(z)) for z in layers.values())
    for axes, (name, z) in zip(panels, layers.items(), strict=True):
        axes.hist(np.ravel(z), bins=30, range=(low, high))
        axes.set(title=f"{name}: std {np.std(z, dtype=np.float64):.3g}", yticks=[])
    return to_png(figure)


def images(x: Array, labels: Array | None, predicted: Array | None) -> bytes:
    """Return a PNG of the first 100 images, with label → prediction; wrong ones are red.

    Parameters
    ----------
    x : images (N, height, width).
    labels, predicted : (N,) classes, or None where they are not known.
    """
    shown = x[:MOST]
    columns = min(len(shown), COLUMNS)
    side = max(1.1, 3.0 / columns)
    figure, axes, corners = _tiles(shown, columns, side, side + 0.2, "gray_r")
    for i, (left, top) in enumerate(corners):
        known = [str(classes[i]) for classes in (labels, predicted) if classes is not None]
        colour = "black" if len(set(known)) <= 1 else "tab:red"
        middle = left + 0.46 * side
        axes.text(middle, top + 0.06, " → ".join(known), size=9, color=colour, ha="center")
    return to_png(figure)


def first_layer(W1: Array) -> bytes:
    """Return a PNG of what each unit of the first layer looks for: its weights as an image.

    Red is above 0, blue below, white 0; the first 100 units are shown.

    Parameters
    ----------
    W1 : (inputs, units), the inputs being the pixels of a square.

    Raises
    ------
    ValueError
        When the inputs make no square.
    """
    inputs, units = W1.shape
    side = math.isqrt(inputs)
    if side * side != inputs:
        raise ValueError(f"W1: expected the weights of square images, got {inputs} inputs")
    weights = W1.T[:MOST].reshape(-1, side, side)
    extremes = np.abs(weights).max(axis=(1, 2), keepdims=True)
    shown = weights / np.where(extremes > 0, extremes, 1.0)
    figure, *_ = _tiles(shown, min(units, COLUMNS), 1.0, 1.0, "bwr", low=-1)
    return to_png(figure)


def _tiles(
    images: Array, columns: int, width: float, height: float, cmap: str, low: float | None = None
) -> tuple["Figure", "Axes", list[tuple[float, float]]]:
    """Return a figure of square images row by row, its axes, and each image's left and top.

    All are in one axes, in inches: a hundred axes take seconds to be drawn. Each image has its
    own shades, unless they are to go from ``low`` to ``-low``.
    """
    rows, size = math.ceil(len(images) / columns), 0.92 * width
    figure = new_figure(columns * width, rows * height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    corners = []
    for i, image in enumerate(images):
        left, bottom = (i % columns + 0.04) * width, (rows - 1 - i // columns + 0.02) * height
        corners.append((left, bottom + size))
        extent = (left, left + size, bottom, bottom + size)
        high = None if low is None else -low
        axes.imshow(image, cmap, aspect="auto", extent=extent, vmin=low, vmax=high)
    axes.set(xlim=(0, columns * width), ylim=(0, rows * height))
    return figure, axes, corners


def _panels(count: int, columns: int, width: float, height: float) -> tuple["Figure", list["Axes"]]:
    """Return a figure of so many panels of a size in inches, row by row."""
    rows = math.ceil(count / columns)
    figure = new_figure(columns * width, rows * height)
    return figure, [figure.add_subplot(rows, columns, place) for place in range(1, count + 1)]
