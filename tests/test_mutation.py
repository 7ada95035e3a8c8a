"""What `make mutation` changes in a module."""

import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOOL = runpy.run_path(str(HERE / "mutation.py"), run_name="mutation")

CHANGES = {
    "x = a < 1": ["a < 1 -> a <= 1", "a < 1 -> a >= 1", "1 -> 2"],
    "x = a == b != c": ["a == b != c -> a != b != c", "a == b != c -> a == b == c"],
    "x = not a or -b": [
        "not a or -b -> not a and -b",
        "not a -> a",
        "-b -> b",
    ],
    "x = 'y' if b'z' else None": [
        "'y' if b'z' else None -> 'y' if True else None",
        "'y' if b'z' else None -> 'y' if False else None",
        "b'z' -> b'XXz'",
        "'y' -> 'XXy'",
        "None -> ''",
    ],
    "def f(a: 'int' = 1) -> 'int':\n    'Documented.'\n    return a": [
        "1 -> 2",
        "return a -> return None",
    ],
    "def f():\n    return": [],
    "def f():\n    return None": ["None -> ''"],
    "while a:\n    b()\n    continue": ["b() -> pass", "continue -> break"],
    "if TYPE_CHECKING:\n    x = 1": [],
    "raise a": ["raise a -> pass"],
    "x: 'int' = a ** 2": ["a ** 2 -> a * 2", "2 -> 3"],
    "x = f'{a:2}'": ["'2' -> 'XX2'"],
}


@pytest.mark.parametrize("source", CHANGES)
def test_one_thing_is_changed_at_a_time(source):
    found = list(TOOL["mutants"](source))
    assert [what for what, _, _ in found] == CHANGES[source]
    assert len({text for _, _, text in found} | {source}) == len(found) + 1


def test_a_change_is_of_the_lines_of_its_statement():
    source = "@f(1)\ndef g(\n    a=2,\n):\n    match a:\n        case 3:\n            f(\n4)\n"
    lines = {what: (lines[0], lines[-1]) for what, lines, _ in TOOL["mutants"](source)}
    assert (lines["1 -> 2"], lines["2 -> 3"]) == ((1, 4), (1, 4))
    assert (lines["3 -> 4"], lines["4 -> 5"]) == ((6, 6), (7, 8))


def test_every_module_has_its_tests():
    for module, files in TOOL["MODULES"].items():
        assert (HERE.parent / module).is_file()
        assert all((HERE / name).is_file() for name in files.split())
