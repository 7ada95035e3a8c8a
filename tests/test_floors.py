import ast
import io
import sys
import tokenize
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "runner"

# A file imports only from lower floors, or from its own folder.
FLOORS = [
    {"nn", "data", "weights", "tables", "lookup", "environment"},
    {"config", "choices", "expect", "agreement"},
    {"tasks", "report", "schema"},
    {"pictures", "result"},
    {"job"},
    {"compose"},
    {"sweeps", "export"},
    {"app", "check", "cli", "commands", "completion"}
    | {"pytest_plugin", "reproduce", "__main__", "__init__"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
LIBRARIES = {
    "nn": {"numpy", "scipy"},
    "data": {"numpy", "scipy", "pooch", "requests", "urllib3", "platformdirs", "xxhash"}
    | {"sklearn", "mlxtend"},
    "weights": {"numpy"},
    "tables": {"numpy", "pandas", "scipy", "filelock", "xxhash", "yaml"},
    "lookup": set(),
    "environment": {"threadpoolctl"},
    "config": set(),
    "schema": {"yaml"},
    "tasks": {"numpy"},
    "report": {"numpy", "pandas", "rich", "matplotlib", "jinja2"},
    "job": {"numpy", "pandas", "threadpoolctl"},
    "choices": set(),
    "cli": set(),
    "completion": set(),
    "commands": {"hydra"},
    "agreement": {"numpy"},
    "export": {"mlflow", "tensorboard", "google", "numpy", "omegaconf", "onnx", "pyarrow", "yaml"},
}
HEAVY = {"pandas", "matplotlib", "mlxtend", "sklearn", "scipy.stats", "pooch"}
HEAVY |= {"mlflow", "tensorboard", "google.protobuf", "onnx", "pyarrow"}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path, top_level_only=False):
    """Yield the dotted modules that a file imports; those for type checking do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                parts = ("runner", *path.relative_to(PACKAGE).parts[: -node.level])
                yield ".".join((*parts, *(node.module or "").split("."))).rstrip(".")
            elif node.module == "runner":
                yield from (f"runner.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_every_room_has_a_floor():
    assert {room(path) for path in FILES} == set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_from_lower_floors_or_its_own_folder(path):
    own = room(path)
    for module in imports(path):
        if module.split(".")[0] != "runner" or module == "runner":
            continue
        other = module.split(".")[1]
        other = other if other in FLOOR else "__init__"  # an attribute of the package
        lower = FLOOR[other] < FLOOR[own]
        top = FLOOR[own] == FLOOR[other] == len(FLOORS) - 1
        assert other == own or lower or top, f"{path.name} imports {module}"


def test_the_perceptron_needs_nothing_of_the_training():
    assert "runner.nn.training" not in imports(PACKAGE / "nn" / "perceptron.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_the_libraries_of_its_room(path):
    if room(path) in LIBRARIES:
        others = {module.split(".")[0] for module in imports(path)} - {"runner"}
        assert others - set(sys.stdlib_module_names) <= LIBRARIES[room(path)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_are_imported_where_they_are_used(path):
    if path.name == "sweep_table.py":  # a kind of DataFrame; itself imported where it is used
        return
    top = set(imports(path, top_level_only=True))
    assert not {module for module in top for heavy in HEAVY if f"{module}.".startswith(f"{heavy}.")}


def lines_of_code(path):
    """Return the lines that hold code: neither empty, comments nor docstrings."""
    text = path.read_text(encoding="utf-8")
    documented = set()
    for node in ast.walk(ast.parse(text)):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            documented.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER)
    layout += (tokenize.INDENT, tokenize.DEDENT)
    used = {
        line
        for token in tokens
        if token.type not in layout
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(used - documented)


def test_the_core_can_be_read_in_an_afternoon():
    assert sum(map(lines_of_code, (PACKAGE / "nn").glob("*.py"))) < 1000
