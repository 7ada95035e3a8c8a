"""Bounds of files, words and interpolations: what is within is counted, what is not, refused."""

import re

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError

from runner.app import composer
from runner.compose import limits
from runner.compose.limits import Counted, Followed, check_file, check_words, count_values, weight
from runner.lookup import BadInput

DOUBLED = "a: &a [x, x, x]\n" + "".join(
    f"{two}: &{two} [*{one}, *{one}]\n" for one, two in zip("abcdefghij", "bcdefghijk", strict=True)
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", 0),
        ("a: 1\n", 3),
        ("[1, [2, {a: b}]]", 7),
        ("[[], {}, []]", 4),
        ("a: &a [1, 2]\nb: *a\n", 9),
        ("a: &a [[], []]\nb: *a\n", 9),  # empty ones take time, too
        ("a: &a x\nb: *a\n", 5),  # a single value
        ("a: &a {x: 1}\nb: {<<: *a}\n", 11),
        (DOUBLED, 11 + 1 + 5 * (2**11 - 1) - 11),  # keys, the whole, and what they stand for
    ],
)
def test_an_alias_counts_as_much_as_what_it_stands_for(text, values):
    assert count_values(text, "here") == values


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#" * 200_001, "expected at most 200,000 bytes, got 200,001"),
        (b"a: \xff", "expected text in UTF-8, got invalid start byte"),
        (b"a: [1,\n", ":2: expected YAML, got none (did not find expected node content)"),
        (b"a: *b\n", "expected at most"),
        (b"a: \x01", "expected YAML, got none (control characters are not allowed)"),
        (b"[" * 51, "expected at most 50 levels and 20,000 values, got more"),
        (b"[" + b"1," * 20_001 + b"]", "expected at most 50 levels and 20,000 values, got more"),
        (b"a: " + b"1" * 1001, "expected at most 1,000 characters of a number or an interpol"),
        (b"a: ${b}" + b"x" * 1001, "expected at most 1,000 characters of a number or an inter"),
    ],
)
def test_a_file_that_stands_for_too_much(content, message, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    if content == b"a: *b\n":  # an alias of nothing is for the reader of the file to refuse
        assert check_file(path) == 3
        return
    with pytest.raises(BadInput, match=re.escape(message)) as refused:
        check_file(path)
    assert str(refused.value).startswith(str(path))


def test_what_is_just_within_the_bounds(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("[" * 50 + "]" * 50 + "#" * (200_000 - 100))
    assert check_file(path) == 50
    path.write_text("[" + "1," * 19_999 + "]")
    assert check_file(path) == 20_000
    path.write_text(f"a: {'x' * 5000}\nb: {'1' * 1000}\n")  # text is not looked into
    assert check_file(path) == 5


def test_words_are_counted_together():
    check_words(["a=" + "x" * 4998] * 2)
    message = "command line: expected at most 10,000 characters, got 10,001; a file of choices"
    with pytest.raises(BadInput, match=message):
        check_words(["a=" + "x" * 4998] * 2 + ["y"])


def test_files_are_counted_as_often_as_they_are_named(monkeypatch):
    class Files:
        def load_config(self, path):
            return path

    monkeypatch.setattr(limits, "MAX_FILES", 2)
    files = Counted(Files())
    assert [files.load_config("a"), files.load_config("a")] == ["a", "a"]
    with pytest.raises(BadInput, match="a: defaults: expected at most 2 files, got more"):
        files.load_config("a")


def test_interpolations_are_counted_until_the_next_composition():
    tree = {"x": "12345", "one": "${x}", "two": "${one}${one}", "all": "${list}", "list": [1, 2]}
    node = OmegaConf.create(tree | {"none": None, "nothing": "${none}"})
    followed = Followed()
    with followed.counting():
        assert node.one == "12345"
        assert followed.total == limits.STEP + 5
        followed.begin()
        assert node.two == "1234512345"  # twice one, and twice x
        assert followed.total == 4 * limits.STEP + 4 * 5
        followed.begin()
        assert node.all == [1, 2]
        assert followed.total == limits.STEP + len("[1, 2]")
        followed.total = limits.MAX_FOLLOWED + 1
        with pytest.raises(InterpolationResolutionError, match="more than 50,000 characters"):
            assert node.one
    assert node.one == "12345"  # outside it is OmegaConf's own again
    assert followed.total == limits.MAX_FOLLOWED + 1
    assert weight(OmegaConf.create({"a": "${b}"})) == len("{'a': '${b}'}")


def test_what_every_configuration_interpolates_is_far_below_the_bound():
    with composer(builds=False) as hydra:
        cfg = hydra.compose_config("config", ["experiment=and_gate"], run_mode=RunMode.RUN)
        OmegaConf.to_container(cfg.hydra.job_logging, resolve=False)
        assert hydra.config_loader.followed.total < limits.MAX_FOLLOWED / 10
