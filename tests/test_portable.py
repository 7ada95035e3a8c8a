"""The same on any machine: names that Windows has too, UTF-8 whatever the locale."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
RESERVED = re.compile(
    r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)', re.I
)
SOURCE = 'def 함수():\n    """값을 그대로."""\n    return (lambda a: +a), (lambda a: a * 0 + 1)\n'
WORK = """
import pathlib, sys, warnings
# Ours must name its encoding; what a library does is not ours.
warnings.filterwarnings("error", category=EncodingWarning, module=r"runner(\\.|$)")
from runner.cli import main
done = main(["--config-dir", "mine", "activation=own", "dataset.limit=10", "timing.repeats=1"])
run = [str(path) for path in pathlib.Path().glob("outputs/runs/*/*")]
sys.exit(
    done
    or main(["reproduce", *run, "--config-dir", "mine"])
    or main(["choices", "activation", "--config-dir", "mine"])
    or main(["-m", "experiment=and_gate", "seed=1,2", "sweep.name=s"])
    or main(["report", "outputs/sweeps/s", "-o", "NAME.html"])
    or main(["compare", "outputs/sweeps/s", "outputs/sweeps/s", "--format", "markdown"])
    or main(["summarize", "outputs/sweeps/s"])
    or main(["resume", "outputs/sweeps/s"])
    or main(["export", "npz", *run, "-o", "NAME.npz"])
    or main(["schema", "activation"])
    or main(["completion", "bash", "runner --config-dir mine activation=o"])
    or main(["init", "new"])
    or main(["activation='렐루'"]) - 2
)
"""
# The name of a module and of a file; where names are ASCII, only contents are not.
LOCALES = {
    "C": ("own", {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}),
    "cp949": ("활성화", {"PYTHONIOENCODING": "cp949"}),
}


@pytest.mark.parametrize("locale", LOCALES)
def test_every_file_is_utf_8_whatever_the_locale(locale, tmp_path):
    name, variables = LOCALES[locale]
    (tmp_path / "mine/activation").mkdir(parents=True)
    files = {
        f"mine/{name}.py": SOURCE,
        "mine/activation/own.yaml": f"# 그대로 돌려준다\nname: {name}:함수\n",
        "work.py": WORK.replace("NAME", name),
    }
    for path, text in files.items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    command = [sys.executable, "-X", "warn_default_encoding", "work.py"]
    environment = os.environ | {"PYTHONUTF8": "0"} | variables
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    if locale == "cp949":
        assert "그대로 돌려준다" in done.stdout.decode("cp949")
        assert "got 렐루" in done.stderr.decode("cp949")
    else:
        assert b"\\uadf8\\ub300\\ub85c" in done.stdout
    (recorded,) = tmp_path.glob("outputs/runs/*/*/results.csv")
    assert f"{name}:함수" in recorded.read_text(encoding="utf-8")
    names = [path.name for path in tmp_path.rglob("*")]
    assert f"{name}.html" in names
    assert not [name for name in names if RESERVED.search(name)]


def test_windows_has_every_name_of_the_repository():
    skipped = {".git", ".venv", "outputs", "__pycache__"}
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if name not in skipped and "cache" not in name]
        assert not [name for name in (*folders, *files) if RESERVED.search(name)], folder
        lower = [name.lower() for name in (*folders, *files)]
        assert len(set(lower)) == len(lower), folder
