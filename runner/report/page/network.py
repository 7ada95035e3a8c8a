"""The picture of a network: a column of units for each layer, and the shapes between them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from runner.tables.strict import Row

MOST = 7  # units of a layer that are drawn
WIDTH, STEP, TOP = 150, 26, 46  # pixels from layer to layer, from unit to unit, above the units
HEIGHT = TOP + MOST * STEP + 56


@dataclass
class Layer:
    """A column: where its units are, and what is written below it."""

    x: int
    units: list[int]  # heights
    gap: int | None  # where units are left out
    name: str
    size: str


@dataclass
class Network:
    """Columns of units, what lies between two of them, and all of it in words."""

    layers: list[Layer]
    between: list[tuple[int, str]]
    text: str
    kind: str = "network"
    height: int = HEIGHT
    edges: list[tuple[int, int, int, int]] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Pixels of the whole."""
        return WIDTH * len(self.layers)


def network(sizes: Sequence[int], functions: Sequence[str], shapes: Sequence[Row]) -> Network:
    """Return the picture of a network.

    Parameters
    ----------
    sizes : units of each layer, the inputs first.
    functions : the name of the function after each layer but the first.
    shapes : rows of shapes.csv.
    """
    known = {row["name"]: row["shape"] for row in shapes}
    names = ["input", *functions]
    layers = [
        layer(WIDTH * index + WIDTH // 2, size, name)
        for index, (size, name) in enumerate(zip(sizes, names, strict=True))
    ]
    between = []
    for index in range(1, len(sizes)):
        weights = known.get(f"W{index}", f"{sizes[index - 1]}x{sizes[index]}")
        between.append((WIDTH * index, f"W{index} {weights}"))
    words = [f"{name} {size:,}" for name, size in zip(names, sizes, strict=True)]
    told = f"Network of {len(sizes) - 1} layers: " + ", then ".join(words)
    edges = [
        (left.x + 8, a, right.x - 8, b)
        for left, right in pairwise(layers)
        for a in left.units
        for b in right.units
    ]
    return Network(layers, between, told, edges=edges)


def layer(x: int, size: int, name: str) -> Layer:
    """Return the column of a layer, in the middle of the picture's height."""
    places = min(size, MOST)
    middle = TOP + MOST * STEP / 2
    heights = [round(middle + (index - (places - 1) / 2) * STEP) for index in range(places)]
    gap = heights.pop(MOST - 2) if size > MOST else None
    return Layer(x, heights, gap, name, f"{size:,}")
