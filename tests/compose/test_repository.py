"""Files that are read once, and what is made of them each time anew; Hydra is the oracle."""

import copy
import io
import math
import pickle

import pytest
import yaml
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.utils import create_config_search_path
from omegaconf import OmegaConf

from runner.compose.repository import Repository, copier, yaml_loader


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.yaml").write_text("defaults:\n  - _self_\nx: 1\n")
    return tmp_path


@pytest.fixture
def repository(folder):
    return Repository(create_config_search_path(str(folder)))


def test_what_is_read_is_what_hydra_reads(repository, folder):
    oracle = ConfigRepository(create_config_search_path(str(folder)))
    for name in ("a", "hydra/config", "hydra/output/default"):
        ours, expected = repository.load_config(name), oracle.load_config(name)
        assert OmegaConf.to_yaml(ours.config) == OmegaConf.to_yaml(expected.config)
        assert OmegaConf.get_type(ours.config) == OmegaConf.get_type(expected.config)
        assert (ours.defaults_list, ours.header) == (expected.defaults_list, expected.header)
    assert repository.load_config("none") is None


def test_a_file_is_read_once_also_by_the_copies_of_every_composition(repository, folder):
    first = copy.deepcopy(repository).load_config("a")
    (folder / "a.yaml").unlink()
    first.config.x = 2
    assert repository.load_config("a").config.x == 1
    assert copy.deepcopy(repository).load_config("a").config.x == 1


def test_other_places_are_read_anew_and_change_no_other_copy(repository, folder, tmp_path):
    repository.load_config("a")
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.yaml").write_text("x: 3\n")
    moved = copy.deepcopy(repository)
    moved.initialize_sources(create_config_search_path(str(other)))
    assert moved.load_config("a").config.x == 3
    assert repository.load_config("a").config.x == 1


unnamed = lambda: 1  # noqa: E731


def test_what_has_no_pickle_is_copied_all_the_same():
    assert copier({"a": [unnamed]})() == {"a": [unnamed]}


def test_what_is_sent_to_a_worker_has_nothing_of_what_was_read(repository):
    empty = len(pickle.dumps(repository))
    repository.load_config("hydra/config")
    assert len(pickle.dumps(repository)) == empty
    assert pickle.loads(pickle.dumps(repository)).load_config("a").config.x == 1


SCALARS = [
    *("1", "1e3", "1_000", "0x1f", "0o17", "017", "1.5", "1.", ".5", "-.inf", ".nan", "1:30"),
    *("true", "yes", "on", "NO", "~", "null", "''", "'1'", '"1"', "2001-12-14", "[1, x]"),
    *(
        "{a: 1, 2: b}",
        "&a [1]",
        "|\n  a\n  b",
        ">\n  a\n  b",
        "!!str 1",
        "!!float 1",
        "${x}",
        "???",
    ),
]


@pytest.mark.parametrize("text", SCALARS)
def test_values_are_those_that_omegaconf_reads(text):
    text = f"x: {text}\n"
    ours, expected = yaml.load(text, Loader=yaml_loader()), OmegaConf.load(io.StringIO(text))
    assert repr(ours) == repr(OmegaConf.to_container(expected)) or math.isnan(ours["x"])


def test_a_key_that_comes_twice_is_refused():
    with pytest.raises(yaml.MarkedYAMLError, match="found duplicate key a"):
        yaml.load("a: 1\na: 2\n", Loader=yaml_loader())
