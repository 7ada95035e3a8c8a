"""CONTRIBUTING.md's map of the house is true to the tree, and can be read in its order."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TEXT = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROOMS = re.findall(r"^\| `([\w.]+/?)` \|", TEXT, re.M)
PATHS = re.findall(r"`((?:\.?\w+/)[\w./]*|\w+\.(?:md|toml))`", TEXT)


def test_the_map_has_every_room_once():
    package = REPOSITORY / "runner"
    found = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in package.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert sorted(ROOMS) == sorted(found)


def test_a_room_imports_only_from_those_above_it():
    """Imports at the top of a file: those inside functions are made when all is loaded."""
    seen = {"lookup"}  # read second, as nn/ needs nothing but arrays
    for name in ROOMS:
        own = name.rstrip("/").removesuffix(".py")
        place = REPOSITORY / "runner" / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            for module in imported(path):
                other = module.split(".")[1]
                assert other in seen | {own}, f"{path.name}: {module}"
        seen.add(own)


def imported(path):
    """Yield the modules of the package that a file imports first."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runner"):
            names = [alias.name for alias in node.names]
            yield from (
                [node.module]
                if "." in node.module
                else (f"runner.{name}" for name in names if name != "__version__")
            )


def test_the_paths_that_it_names_are_there():
    assert len(PATHS) > 10
    for name in PATHS:
        places = [REPOSITORY / name, REPOSITORY / "runner" / name]
        assert any(place.exists() for place in places), name
