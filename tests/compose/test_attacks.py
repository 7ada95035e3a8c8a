"""Configurations that try to run code, to write elsewhere, to tell secrets or never to end.

Run as a script, this file is the process that tries them while everything it does is watched.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import yaml

from runner.choices import CONF
from runner.cli import main as command_line

BUSY = 2  # seconds of the processor: one is promised, and takes longer where others work beside it
NOTHING = pytest.mark.promise("A configuration runs no code, and writes only where it may")
BOUNDED = pytest.mark.promise("A configuration that grows without end is refused within a second")
SMALL = ["dataset=and", "weights=none", "timing.repeats=1"]

EVIL = "from pathlib import Path\nPath(__file__).with_name('RAN').touch()\ndef f(*a, **k): ...\n"
CALL = {"_target_": "evil.f"}
LOGS = "hydra.job_logging"
GROWING = {f"a{i}": f"${{.a{i - 1}}}${{.a{i - 1}}}" for i in range(1, 40)}
LONGER = {f"a{i}": [f"${{..a{i - 1}}}"] * 2 for i in range(1, 40)}
NESTED = json.loads("[" * 60 + "]" * 60)

# What is set, by its dotted key, and a part of the one line that refuses it.
PAYLOADS = {
    "a callback": ({"hydra.callbacks.a": CALL}, "hydra.callbacks.a._target_: expected one that"),
    "a callback of another's": (
        {"hydra.callbacks.a._target_": "os.system", "hydra.callbacks.a.command": "touch RAN"},
        "hydra.callbacks.a._target_: expected one that this program lists, got os.system",
    ),
    "a callback by interpolation": (
        {"hydra.callbacks.a._target_": "${output_dir}", "output_dir": "evil.f"},
        "hydra.callbacks.a._target_: expected one that",
    ),
    "callbacks by interpolation": (
        {"hydra.callbacks.a": "${activation.params}", "activation.params": CALL},
        "activation.params._target_: expected no _target_",
    ),
    "a launcher": ({"hydra.launcher._target_": "evil.f"}, "hydra.launcher._target_: expected one"),
    "a sweeper": ({"hydra.sweeper._target_": "evil.f"}, "hydra.sweeper._target_: expected one"),
    "a sampler": ({"hydra.sweeper.params.x": CALL}, "hydra.sweeper.params.x._target_: expected no"),
    "a handler that is called": (
        {f"{LOGS}.handlers.x": {"()": "evil.f"}},
        f"{LOGS}.handlers.x.(): expected no ()",
    ),
    "a handler of Hydra's log": (
        {"hydra.hydra_logging.handlers.x": {"()": "evil.f"}},
        "hydra.hydra_logging.handlers.x.(): expected no ()",
    ),
    "a formatter that is called": (
        {f"{LOGS}.formatters.x": {"()": "evil.f"}},
        f"{LOGS}.formatters.x.(): expected no ()",
    ),
    "a filter": ({f"{LOGS}.filters.x": {"name": "x"}}, f"{LOGS}.filters: expected one of"),
    "a handler's class": (
        {f"{LOGS}.handlers.x": {"class": "evil.f"}},
        f"{LOGS}.handlers.x.class: expected one of logging.FileHandler",
    ),
    "a handler that connects": (
        {f"{LOGS}.handlers.x": {"class": "logging.handlers.SocketHandler", "host": "x"}},
        f"{LOGS}.handlers.x",
    ),
    "a handler's queue": (
        {f"{LOGS}.handlers.x": {"class": "logging.NullHandler", "queue": "evil.f"}},
        f"{LOGS}.handlers.x.queue: expected one of",
    ),
    "a formatter's class": (
        {f"{LOGS}.formatters.x": {"class": "evil.f"}},
        f"{LOGS}.formatters.x.class: expected one of",
    ),
    "an attribute of a handler": (
        {f"{LOGS}.handlers.file": {".": {"emit": "ext://evil.f"}}},
        f"{LOGS}.handlers.file..: expected one of",
    ),
    "a stream": (
        {f"{LOGS}.handlers.console.stream": "ext://evil.f"},
        f"{LOGS}.handlers.console.stream: expected one of ext://sys.stderr, ext://sys.stdout",
    ),
    "a format's style": (
        {f"{LOGS}.formatters.simple.style": "{"},
        f"{LOGS}.formatters.simple.style: expected one of",
    ),
    "a format that fills the disk": (
        {f"{LOGS}.formatters.simple.format": "%(message)999999999s"},
        f"{LOGS}.formatters.simple.format: expected a format",
    ),
    "a log elsewhere": (
        {f"{LOGS}.handlers.file.filename": "../VICTIM"},
        f"{LOGS}.handlers.file.filename: expected",
    ),
    "Hydra's log elsewhere": (
        {"hydra.hydra_logging.handlers.x": {"class": "logging.FileHandler", "filename": "VICTIM"}},
        "hydra.hydra_logging.handlers.x.filename: expected",
    ),
    "a target in a node": ({"network.x": CALL}, "network.x"),
    "a target deep in a node": (
        {"activation.params.x": [[{"y": CALL}]]},
        "activation.params.x.0.0.y._target_: expected no _target_",
    ),
    "a partial": (
        {"activation.params.x": {"_partial_": True}},
        "activation.params.x._partial_: expected no _partial_",
    ),
    "arguments": ({"loss.params._args_": ["evil"]}, "loss.params._args_.0: expected no _args_"),
    "a factory": ({"loss.params.x": {"()": "evil.f"}}, "loss.params.x.(): expected no ()"),
    "oc.create": ({"data_dir": "${oc.create:{_target_:evil.f}}"}, "data_dir: expected an interp"),
    "oc.decode": ({"data_dir": "${oc.decode:'{_target_:evil.f}'}"}, "data_dir: expected an int"),
    "oc.select": ({"data_dir": "${oc.select:hydra}"}, "data_dir: expected an interpolation by"),
    "a resolver that imports": (
        {"data_dir": "${ray_pkg_version:evil}"},
        "data_dir: expected an interpolation by",
    ),
    "a resolver's name put together": (
        {"dtype": "oc.create", "data_dir": "${${dtype}:{_target_:evil.f}}"},
        "data_dir: expected an interpolation whose name is written out",
    ),
    "a resolver within another": (
        {"data_dir": "${now:${oc.create:{_target_:evil.f}}}"},
        "data_dir: expected an interpolation by",
    ),
    "PATH": ({"hydra.job.env_set.PATH": "bin"}, "hydra.job.env_set: expected none"),
    "LD_PRELOAD": ({"hydra.job.env_set.LD_PRELOAD": "x.so"}, "hydra.job.env_set: expected none"),
    "a proxy": ({"hydra.job.env_set.https_proxy": "x:1"}, "hydra.job.env_set: expected none"),
    "a variable": (
        {"expect.note": "${oc.env:RUNNER_SECRET}"},
        "expect.note: expected an environment variable that is listed, got ",
    ),
    "a variable as a default's": (
        {"data_dir": "${oc.env:NONE,${oc.env:RUNNER_SECRET}}"},
        "data_dir: expected an environment variable that is listed, got ",
    ),
    "a search path": ({"hydra.searchpath": ["pkg://evil"]}, "hydra.searchpath"),
    "a search path of a module": ({"hydra.searchpath": ["structured://evil"]}, "hydra.searchpath"),
    "words that nobody typed": (
        {"hydra.overrides.hydra": ["hydra.searchpath=[pkg://evil]"]},
        "hydra.overrides: expected nothing (this key is the program's), got hydra.searchpath",
    ),
    "a run's folder": ({"hydra.run.dir": ".."}, "hydra.run.dir: expected output_dir"),
    "a sweep's folder": ({"hydra.sweep.dir": ".."}, "hydra.sweep.dir: expected output_dir"),
    "a job's folder": ({"hydra.sweep.subdir": ".."}, "hydra.sweep.subdir: expected output_dir"),
    "Hydra's own folder": ({"hydra.output_subdir": ".."}, "hydra.output_subdir: expected output"),
    "another current folder": ({"hydra.job.chdir": True}, "hydra.job.chdir: expected paths"),
    "the log's name": ({"hydra.job.name": "../VICTIM"}, "hydra.job.name: expected sweep.name"),
    "interpolations that double": (
        {"activation.params": {"a0": "x", **GROWING}},
        "interpolations stand for",
    ),
    "lists that double": ({"activation.params": {"a0": [1], **LONGER}}, "activation.params"),
    "a circle": (
        {"data_dir": "${output_dir}", "output_dir": "${data_dir}"},
        "data_dir: expected an interpolation that resolves, got Recursive interpolation detected",
    ),
    "levels": ({"activation.params.x": NESTED}, "expected"),
}
GLOBAL = "# @package _global_\n"
SLURM = "mine/hydra/launcher/evil.yaml"
SWEEPER = "defaults: [runner, _self_]\nparams: "
MINE = ["--config-dir", "mine", "experiment=evil"]
QUEUE = ["--config-dir", "mine", "-m", "hydra/launcher=evil", "seed=1,2", *SMALL]
FILE = "mine/experiment/evil.yaml"

# What only other words or files can try: those, the content of each file, and the answer.
OTHERS = {
    "commands of a script": (
        QUEUE,
        {SLURM: "defaults: [submitit_slurm, _self_]\nsetup: [touch RAN]"},
        "hydra.launcher.setup.0: expected nothing that the command line does not say",
    ),
    "a folder of scripts": (
        QUEUE,
        {SLURM: "defaults: [submitit_local, _self_]\nsubmitit_folder: /x"},
        "hydra.launcher.submitit_folder: expected nothing that the command line does not say",
    ),
    "parameters of a script": (
        QUEUE,
        {SLURM: "defaults: [submitit_slurm, _self_]\nadditional_parameters: {wrap: touch RAN}"},
        "hydra.launcher.additional_parameters.wrap: expected nothing that the command line",
    ),
    "a script's second line": (
        QUEUE,
        {SLURM: 'defaults: [submitit_slurm, _self_]\ncomment: "x\\ntouch RAN"'},
        "hydra.launcher.comment: expected one line of text",
    ),
    "a folder of arrays": (
        QUEUE,
        {SLURM: "defaults: [joblib, _self_]\ntemp_folder: VICTIM"},
        "hydra.launcher.temp_folder: expected nothing that the command line does not say",
    ),
    "a sweeper's search path": (
        ["--config-dir", "mine", "-m", "hydra/sweeper=evil", "sweep.replicates=2", *SMALL],
        {"mine/hydra/sweeper/evil.yaml": SWEEPER + "{hydra.searchpath: '[pkg://evil]'}"},
        "hydra.searchpath: expected no key of hydra's in a job of a sweep",
    ),
    "a variable that a file lists": (
        MINE,
        {FILE: GLOBAL + "hydra: {job: {env_copy: [RUNNER_SECRET]}}"},
        "hydra.job.env_copy: expected none that the command line does not list",
    ),
    "a variable as a choice": (
        ["activation=${oc.env:RUNNER_SECRET}"],
        {},
        "activation: expected an environment variable that is listed",
    ),
    "a variable as a choice of a file": (
        MINE,
        {FILE: GLOBAL + "defaults: [override /activation: '${oc.env:RUNNER_SECRET}']"},
        "defaults: expected interpolations of choices, got ${oc.env:RUNNER_SECRET}",
    ),
    "a choice out of the folder": (
        MINE,
        {FILE: GLOBAL + "defaults: [../../other/x]", "other/x.yaml": "{}"},
        "defaults: expected a choice of a group, got experiment/../../other/x",
    ),
    "a choice out of its group": (["activation=../weights/none"], {}, "a choice of the group"),
    "a package's folder": (["--config-path", "pkg://evil"], {}, "unrecognized arguments"),
    "another primary file": (["--config-name", "evil"], {}, "unrecognized arguments"),
    "a pickle": (["--experimental-rerun", "evil.pickle"], {}, "unrecognized arguments"),
    "hydra whole": (["hydra={searchpath:[pkg://evil]}"], {}, "hydra: expected its keys one by one"),
    "a mode": (["hydra.mode=MULTIRUN"], {}, "hydra.mode: expected RUN"),
    "a tag of Python's": (
        MINE,
        {FILE: GLOBAL + "data_dir: !!python/object/apply:evil.f []"},
        "could not determine a constructor",
    ),
    "a callback's argument": (
        ["+hydra.callbacks.a={_target_:hydra.experimental.callbacks.LogJobReturnCallback,x:1}"],
        {},
        "hydra.callbacks.a: expected what it takes, got an unexpected keyword argument 'x'",
    ),
    "a logger that is set up wrongly": (
        ["+hydra.job_logging.handlers.console.filename='${hydra.runtime.output_dir}/"
        "${hydra.job.name}.log'", *SMALL],
        {},
        "Unable to configure handler 'console'",
    ),
}  # fmt: skip
ALIASES = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{n}: &{n} [*{m}, *{m}, *{m}, *{m}, *{m}, *{m}, *{m}]\n"
    for m, n in zip("abcdefgh", "bcdefghi", strict=True)
)
TWICE = {
    f"mine/experiment/{'evil' if i == 0 else f'c{i}'}.yaml": f"defaults: [c{i + 1}@a, c{i + 1}@b]"
    for i in range(30)
}
BOMBS = {
    "aliases": (MINE, {FILE: ALIASES}, "expected at most 50 levels and 20,000 values"),
    "merged aliases": (
        MINE,
        {FILE: ALIASES.replace("[", "{<<: [", 1).replace("]", "]}", 1)},
        "expected at most 50 levels and 20,000 values",
    ),
    "brackets": (MINE, {FILE: "x: " + "[" * 50_000}, "expected at most 50 levels"),
    "closed brackets": (MINE, {FILE: "x: " + "{a: " * 400 + "1" + "}" * 400}, "at most 50 levels"),
    "a long file": (MINE, {FILE: "#" * 300_000}, "expected at most 200,000 bytes, got 300,000"),
    "a number of base sixty": (
        MINE,
        {FILE: GLOBAL + "seed: " + "1:" * 50_000 + "1"},
        "expected at most 1,000 characters of a number or an interpolation",
    ),
    "a long interpolation": (
        MINE,
        {FILE: GLOBAL + "data_dir: " + "${seed}" * 500},
        "expected at most 1,000 characters of a number or an interpolation",
    ),
    "files that name the next one twice": (
        MINE,
        TWICE | {"mine/experiment/c30.yaml": "{}"},
        "defaults: expected at most 1,000 files",
    ),
    "merged interpolations": (  # what is set again is resolved where files are put together
        ["--config-dir", "mine", "experiment=[evil,two]"],
        {
            FILE: GLOBAL + yaml.safe_dump({"activation": {"params": {"a0": "x", **GROWING}}}),
            "mine/experiment/two.yaml": GLOBAL + "activation: {params: {a39: {b: 1}}}",
        },
        "interpolations stand for",
    ),
    "a million jobs of jobs": (
        ["-m", "seed=range(0,1000)", "epochs=range(1,1001)", "batch_size=range(1,1001)", *SMALL],
        {},
        "sweep.max_runs: expected a sweep of at most 100,000 jobs, got 1,000,000,000",
    ),
    "a billion jobs": (["-m", "seed=range(0,1000000000)", *SMALL], {}, "got 1,000,000,000"),
    "a billion jobs, shuffled": (["-m", "seed=shuffle(range(0,1000000000))"], {}, "1,000,000,000"),
    "a billion replicates": (["-m", "sweep.replicates=1000000000", *SMALL], {}, "1,000,000,000"),
    "jobs of fractions": (["-m", "+x=range(0,1,0.0000001)", *SMALL], {}, "got 10,000,000"),
    "jobs without end": (["-m", "seed=range(0,inf)", *SMALL], {}, "a range between finite numbers"),
    "jobs of a long number": (["-m", f"seed=range(0,{'9' * 400})"], {}, "between finite numbers"),
    "jobs of no number": (["-m", "seed=range(0,nan)", *SMALL], {}, "between finite numbers"),
    "a long word": (["batch_size=[" + "1," * 20_000 + "1]"], {}, "at most 10,000 characters"),
    "a deep word": (["batch_size=" + "[" * 1000 + "]" * 1000], {}, "expected fewer levels"),
    "a long number": (["seed=" + "9" * 5000], {}, "expected numbers of at most 4,300 digits"),
    "a sweeper's long words": (
        ["--config-dir", "mine", "-m", "hydra/sweeper=evil", *SMALL],
        {"mine/hydra/sweeper/evil.yaml": SWEEPER + "{seed: '" + "1," * 40_000 + "1'}"},
        "expected at most 10,000 characters",
    ),
}
PLACES = ("primary", "group", "folder", "line")


def tree(payload):
    """Return nested keys for dotted ones."""
    root = {}
    for key, value in payload.items():
        node = root
        *parents, last = key.replace("\\.", "\0").split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last.replace("\0", ".")] = value
    return root


def merged(one, two):
    """Return two trees in one."""
    both = dict(one)
    for key, value in two.items():
        inside = isinstance(value, dict) and isinstance(both.get(key), dict)
        both[key] = merged(both[key], value) if inside else value
    return both


def word(key, value):
    """Return what sets a key on the command line."""
    added = "" if key == "hydra.searchpath" else "++"  # which Hydra does not know with a sign
    return f"{added}{key}={written(value)}"


def written(value):
    """Return a value in the words of Hydra's command line."""
    if isinstance(value, dict):
        items = (f"{key}:{written(item)}" for key, item in value.items())
        return "{" + ",".join(items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return "'" + value.replace("'", "\\'") + "'" if isinstance(value, str) else str(value).lower()


def placed(payload, place):
    """Return the case that has a payload in one of the places."""
    text = "# @package _global_\n" + yaml.safe_dump(tree(payload))
    case = {"conf": False, "files": {}, "words": list(SMALL)}
    if place == "primary":
        content = merged(yaml.safe_load((CONF / "config.yaml").read_text()), tree(payload))
        case |= {"conf": True, "files": {"conf/config.yaml": yaml.safe_dump(content)}}
    elif place == "group":
        case |= {"conf": True, "files": {"conf/experiment/evil.yaml": text}}
        case["words"].append("experiment=evil")
    elif place == "folder":  # as one job of a sweep
        case["files"] = {"mine/experiment/evil.yaml": text}
        case["words"] = ["--config-dir", "mine", "-m", "experiment=evil"]
    else:
        case["words"] += [word(key, value) for key, value in payload.items()]
    return case


def tried(cases, folder):
    """Return what happened in each of the cases, which one process tries."""
    environment = os.environ | {"RUNNER_SECRET": "s3cr3t"}
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run(
        [sys.executable, __file__],
        input=lines,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == len(cases), done.stderr
    return answers


@pytest.fixture(scope="module")
def answers(tmp_path_factory, long):
    """What happened in every case; in the short form a payload is tried in one of its places."""
    cases = {
        (name, place): placed(payload, place)
        for i, (name, (payload, _)) in enumerate(PAYLOADS.items())
        for j, place in enumerate(PLACES)
        if long or i % 4 == j
    }
    for name, (words, files, _) in (OTHERS | BOMBS).items():
        cases[name, "words and files"] = {"conf": False, "files": files, "words": words}
    done = tried(cases.values(), tmp_path_factory.mktemp("attacks"))
    return dict(zip(cases, done, strict=True))


def refused(answer, message):
    """Check that a case was refused in one line before anything had happened."""
    assert answer["status"] == 2, answer
    assert message in answer["error"]
    assert answer["error"].startswith("error: ")
    assert answer["error"].count("\n") == 1
    assert "s3cr3t" not in answer["error"]
    assert answer["seen"] == []
    assert answer["written"] == []


@NOTHING
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_refused_wherever_it_is(name, answers, record_property):
    mine = {place: answer for (other, place), answer in answers.items() if other == name}
    record_property("cases", len(mine))
    for place, answer in mine.items():
        # The grammar of the command line has no such key.
        unsayable = place == "line" and "at input '{('" in answer["error"]
        refused(answer, "expected key=value" if unsayable else PAYLOADS[name][1])
        assert answer["seconds"] < BUSY


@NOTHING
@pytest.mark.parametrize("name", OTHERS)
def test_other_words_and_files_are_refused(name, answers):
    answer = answers[name, "words and files"]
    if name == "a logger that is set up wrongly":  # found out when the folder is there
        answer = answer | {"written": []}
    refused(answer, OTHERS[name][2])


@BOUNDED
@pytest.mark.parametrize("name", BOMBS)
def test_what_grows_without_end_is_refused_in_a_second(name, answers):
    answer = answers[name, "words and files"]
    refused(answer, BOMBS[name][2])
    assert answer["seconds"] < BUSY


def test_the_watch_sees_what_it_is_to_see(tmp_path):
    """The one door to code of one's own: what it does is seen, so nothing else was hidden."""
    doing = (
        "import os, socket, subprocess\nimport numpy as np\nfrom pathlib import Path\n"
        "def dataset():\n    import evil\n    Path('VICTIM').touch()\n    "
        "Path('MADE').mkdir(exist_ok=True)\n"
        "    subprocess.run(['true'])\n    os.system('true')\n"
        "    socket.socket().connect_ex(('127.0.0.1', 9))\n    return np.eye(2), np.arange(2)\n"
    )
    files = {"mine/own.py": doing, "mine/dataset/own.yaml": "name: own:dataset\n"}
    words = ["--config-dir", "mine", "dataset=own", "weights=none", "timing.repeats=1"]
    (answer,) = tried([{"conf": False, "files": files, "words": words}], tmp_path)
    assert answer["status"] == 0, answer["error"]
    seen = " ".join(answer["seen"])
    for event in ("import evil", "VICTIM", "os.mkdir", "subprocess.Popen", "os.system", "socket."):
        assert event in seen
    assert {"RAN", "VICTIM", "MADE", "outputs"} <= set(answer["written"])


@pytest.mark.promise("Values of the environment are read and recorded only where they are listed")
def test_a_listed_variable_is_in_the_record_of_the_run_and_nowhere_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNNER_SECRET", "s3cr3t")
    words = ["data_dir=${oc.env:HOME}", "hydra.job.env_copy=[RUNNER_SECRET,HOME]", *SMALL]
    assert command_line(words) == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    told = [path.name for path in files if b"s3cr3t" in path.read_bytes()]
    assert (len(files) > 10, told) == (True, ["hydra.yaml"])


# The process that is watched

STARTS = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "pty.")
WRITES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod")
WRITES += ("os.truncate", "os.chown", "os.utime", "shutil.")
USUAL = (["git", "-c", "core.fsmonitor=false", "status"], ["uname", "-p"])


class Watch:
    """What happens that a configuration has no business to cause."""

    def __init__(self):
        self.seen, self.on = [], False
        self.here, self.own = "", ()
        sys.addaudithook(self.hook)

    def hook(self, event, arguments):
        if self.on and (what := self.unexpected(event, arguments)):
            self.seen.append(f"{event} {what}")

    def unexpected(self, event, arguments):
        """Return what is wrong with an event, if something is."""
        if event.startswith(STARTS):
            words = list(arguments[1]) if event == "subprocess.Popen" else [event]
            return None if any(words[: len(usual)] == usual for usual in USUAL) else str(words)
        if event.startswith("socket.") or event == "urllib.Request":
            return str(arguments)
        if event == "exec":
            return self.outside(arguments[0].co_filename, executed=True)
        if event == "import":
            return arguments[0] if str(arguments[0]).startswith("evil") else None
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
            return self.outside(arguments[0]) if arguments[2] & writing else None
        if event.startswith(WRITES):
            paths = [item for item in arguments if isinstance(item, (str, bytes))]
            return next(filter(None, map(self.outside, paths)), None)
        return None

    def outside(self, path, executed=False):
        """Return a path where nothing may be written, or from which nothing may be executed."""
        place = os.path.abspath(os.fsdecode(path))  # noqa: PTH100
        if executed:
            return place if place.startswith(self.here) else None
        return None if place.startswith(self.own) else place


def main():
    """Do the cases, one after the other."""
    from runner import app
    from runner.cli import main as command
    from runner.data.cache import cache_folder

    command(["--version"])
    command(["dataset=and", "weights=none", "timing.repeats=1"])  # all is loaded
    sys.stdout.flush()
    watch, base = Watch(), Path.cwd()
    for number, line in enumerate(sys.stdin):
        case = json.loads(line)
        here = base / f"case{number}"
        here.mkdir()
        (here / "evil.py").write_text(EVIL)
        if case["conf"]:
            shutil.copytree(CONF, here / "conf")
        for name, text in case["files"].items():
            path = here / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        os.chdir(here)
        sys.path[0] = str(here)
        sys.modules.pop("evil", None)
        app.CONF = here / "conf" if case["conf"] else CONF
        watch.here, watch.seen = str(here), []
        watch.own = (str(here / "outputs"), str(cache_folder()), os.devnull)
        before = {str(path.relative_to(here)) for path in here.rglob("*")}
        out, err, began = io.StringIO(), io.StringIO(), time.process_time()
        watch.on = True
        try:
            with redirect_stdout(out), redirect_stderr(err):
                status = command(case["words"])
        except BaseException as error:  # a traceback is a finding too
            status = repr(error)
        watch.on = False
        after = {str(path.relative_to(here)) for path in here.rglob("*")}
        answer = {
            "status": status,
            "error": err.getvalue(),
            "seen": watch.seen,
            "written": sorted(after - before),
            "seconds": time.process_time() - began,
        }
        print(json.dumps(answer), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    main()
