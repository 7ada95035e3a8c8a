"""The decision boundary of a network with two inputs, as a picture."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.report.figures import new_figure, to_png

SIDE = 501  # points of the plane that are asked, along each axis
MARKERS = "os^Dv*Pphd"


def decision_boundary(
    x: NDArray[Any], t: NDArray[Any], predict: Callable[[NDArray[Any]], NDArray[Any]]
) -> bytes:
    """Return a PNG of samples by class on the plane, shaded by what is predicted there.

    Parameters
    ----------
    x : (N, 2) inputs of the network.
    t : (N,) labels.
    predict : gives labels (M,) for inputs (M, 2).
    """
    from matplotlib import colormaps

    low, high = limits(x)
    plane = predicted_plane(predict, low, high, x.dtype)
    colours = colormaps["tab10"](np.arange(int(max(t.max(), plane.max())) + 1) % 10)
    extent = (low[0], high[0], low[1], high[1])
    figure = new_figure(5.2, 4.2)
    axes = figure.add_subplot()
    axes.imshow(colours[plane], extent=extent, origin="lower", aspect="auto", alpha=0.25)
    for inside in (plane == label for label in np.unique(plane)):
        if not inside.all():
            axes.contour(inside, [0.5], extent=extent, colors="black", linewidths=1)
    for label in np.unique(t):
        points, marker = x[t == label], MARKERS[label % len(MARKERS)]
        axes.plot(*points.T, marker, color=colours[label], mec="black", ms=7, label=f"{label}")
    axes.set(xlabel="$x_1$", ylabel="$x_2$")
    axes.legend(title="class", loc="upper left", bbox_to_anchor=(1, 1))
    return to_png(figure)


def limits(x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower left and upper right corner of a frame around samples (N, 2)."""
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    margin = np.where(high > low, 0.4 * (high - low), 1.0)
    return low - margin, high + margin


def predicted_plane(
    predict: Callable[[NDArray[Any]], NDArray[Any]],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Return what is predicted at the points of a grid: rows along the second input, upwards."""
    sides = [np.linspace(*ends, SIDE) for ends in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    return predict(points.astype(dtype)).reshape(SIDE, SIDE)
