"""Every line of docs/errors.md: what is typed there is refused in exactly the words given there.

Run as a script, this file writes the answers of today into the document: to be read before they
are kept.
"""

import io
import os
import re
import shlex
import tempfile
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from runner.cli import main
from runner.config import Config, walk

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
ANSWERS = dict(re.findall(r"^\$ runner (.*)\n(error: .*)$", TEXT, re.MULTILINE))
PROMISE = pytest.mark.promise("A mistake is one line that says what was expected, and exit 2")


@PROMISE
@pytest.mark.parametrize("typed", ANSWERS)
def test_what_is_typed_is_answered_as_documented(typed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(typed)) == 2
    answer = capsys.readouterr()
    assert answer.err == f"{ANSWERS[typed]}\n"
    assert answer.out == ""
    assert list(tmp_path.iterdir()) == []


def test_every_command_line_of_the_document_is_tried():
    assert len(ANSWERS) >= 80
    assert len(ANSWERS) == TEXT.count("$ runner ")


def test_every_key_of_the_configuration_has_a_mistake():
    """A key that a free form makes (`params`) counts where one below it is given."""
    given = {word.lstrip("+~").partition("=")[0] for typed in ANSWERS for word in typed.split()}
    for key, _, _ in walk(Config()):
        group = key.removesuffix(".name")
        assert any(one in (key, group) or one.startswith(f"{key}.") for one in given), key


def rewritten(text: str) -> str:
    """Return the document with the answers of today."""

    def answered(match: re.Match[str]) -> str:
        error = io.StringIO()
        with redirect_stderr(error):
            main(shlex.split(match[1]))
        return f"$ runner {match[1]}\n{error.getvalue().strip()}"

    return re.sub(r"^\$ runner (.*)\n(error: .*)$", answered, text, flags=re.MULTILINE)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        DOCUMENT.write_text(rewritten(TEXT), encoding="utf-8")
