import hashlib
import os
import pickle
import re
import sys
from pathlib import Path

import pytest

from runner.lookup import (
    BadInput,
    call,
    did_you_mean,
    find,
    interrupt_behind,
    one_of,
    source_digest,
)


def relu():
    return "relu"


def elu(alpha=1.0):
    if alpha < 0:
        raise ValueError(f"alpha: expected at least 0, got {alpha}")
    return alpha


def needs(n):
    return n


TABLE = {"relu": relu, "elu": elu}


def test_finds_a_name_of_the_table():
    assert find("activation.name", "relu", TABLE) is relu


def test_finds_a_function_of_a_module():
    assert find("activation.name", "os.path:join", TABLE).__name__ == "join"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("relo", "a: expected one of elu, relu, or module:function, got relo; did you mean relu?"),
        ("zzz", "a: expected one of elu, relu, or module:function, got zzz"),
        ("", "a: expected one of elu, relu, or module:function, got "),
        ("sys:", "a: expected a function of sys, got sys:"),
        ("sys:maxsize", "a: expected a function of sys, got maxsize"),
        (":f", "a: expected module:function, got :f"),
        ("../x:f", "a: expected module:function, got ../x:f"),
        ("nowhere_:f", "a: expected a module nowhere_ in the import path, got nowhere_:f"),
    ],
)
def test_refuses_other_names(name, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message.rstrip())}"):
        find("a", name, TABLE)


def test_says_what_a_broken_module_raises(tmp_path):
    (tmp_path / "broken.py").write_text("import nowhere_at_all\n")
    (tmp_path / "faulty.py").write_text("1 / 0\n")
    message = "a: expected a module broken that can be imported, got No module named"
    with pytest.raises(BadInput, match=message):
        find("a", "broken:f", TABLE, [tmp_path])
    message = "a: expected a module faulty that can be imported, got ZeroDivisionError: division"
    with pytest.raises(BadInput, match=message):
        find("a", "faulty:f", TABLE, [tmp_path])


@pytest.mark.parametrize(
    ("maker", "params", "message"),
    [
        (relu, {"a": 1}, "p: expected no parameters, got a"),
        (elu, {"alhpa": 1}, "p: expected one of alpha, got alhpa; did you mean alpha?"),
        (elu, {"alpha": -1}, "p.alpha: expected at least 0, got -1"),
        (elu, {"alpha": "x"}, "p: TypeError: '<' not supported between"),
        (needs, {}, "p.n: expected a value, got none"),
    ],
)
def test_refuses_other_parameters(maker, params, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}"):
        call("p", maker, params)


def test_calls_with_parameters():
    assert call("p", elu, {"alpha": 2.0}) == 2.0


def test_a_module_without_a_file_has_no_source():
    assert source_digest("sys:intern") == ""
    expected = hashlib.sha256(Path(os.path.__file__).read_bytes()).hexdigest()
    assert source_digest("os.path:join") == expected


def test_what_a_module_brings_from_elsewhere_stays(tmp_path, monkeypatch):
    (tmp_path / "far").mkdir()
    (tmp_path / "far/brought_along.py").write_text("")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/beside.py").write_text("")
    (tmp_path / "mine/own.py").write_text("import brought_along, beside\ndef f(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path / "far"))
    assert find("a", "own:f", TABLE, [tmp_path / "mine"]).__name__ == "f"
    assert "brought_along" in sys.modules
    assert "beside" not in sys.modules
    del sys.modules["brought_along"]


def test_words():
    assert one_of(["b", "a"]) == "one of a, b"
    assert did_you_mean("relo", ["relu", "elu"]) == "did you mean relu?"
    assert did_you_mean("hiden", ["hidden"], "network.") == "did you mean network.hidden?"
    assert did_you_mean("zzz", ["relu"]) == ""


def test_an_error_is_one_line_and_survives_pickling():
    error = BadInput("seed", "an\n integer", "a  b", where="command line", hint="try 1")
    assert str(error) == "command line: seed: expected an integer, got a b; try 1"
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert str(BadInput.because("", "words of its own")) == "words of its own"


def test_an_exception_that_names_itself_as_its_cause_has_no_interrupt_behind_it():
    error = ValueError("of OmegaConf under a debugger")
    error.__cause__ = error
    assert interrupt_behind(error) is None
    error.__cause__ = KeyboardInterrupt()
    assert interrupt_behind(error) is error.__cause__
