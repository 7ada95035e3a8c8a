"""What a run's folder says of its configuration, which a stranger may have written."""

import pytest
import yaml
from omegaconf.errors import InterpolationResolutionError

import runner
from runner.compose.recorded import read_config


def test_interpolations_of_a_record_are_counted(tmp_path):
    words = ["dataset=and", "weights=none", "timing.repeats=1", f"output_dir={tmp_path}"]
    folder = runner.run(words).folder
    assert read_config(folder).dataset.name == "and"
    path = folder / ".hydra" / "config.yaml"
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    below = "${dataset.params.p%d}"
    doubling = {f"p{i + 1}": 2 * (below % i) for i in range(40)}
    tree["dataset"]["params"] = {"p0": "x", **doubling}
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    with pytest.raises(InterpolationResolutionError, match="more than 50,000 characters"):
        read_config(folder)
