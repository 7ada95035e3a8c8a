"""How much memory the main job takes."""

import json
import subprocess
import sys

import pytest

LIMIT = 300  # MB
MEASURE = """\
import json, resource, sys
from runner.cli import main
status = main(sys.argv[1:])
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([status, most / (2**20 if sys.platform == "darwin" else 2**10)]), file=sys.stderr)
"""


@pytest.mark.promise("The main job takes at most 300 MB of memory")
@pytest.mark.parametrize("words", [[], ["batch_size=[1,10,100,1000]"]], ids=["main", "batches"])
def test_the_main_job_takes_little_memory(words, tmp_path):
    command = [sys.executable, "-c", MEASURE, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    status, megabytes = json.loads(done.stderr)
    assert status == 0
    assert megabytes <= LIMIT
