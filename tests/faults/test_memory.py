"""How much memory the main job takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT = 300  # MB
WORDS = [], ["batch_size=[1,10,100,1000]"]
MEASURE = f"""\
import json, re, sys
from pathlib import Path
from runner.cli import main
status = [main(words) for words in {WORDS}]
kilobytes = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(json.dumps([status, int(kilobytes) / 1024]), file=sys.stderr)
"""


# Not getrusage's: that begins with the peak of the process that has started this one.
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
@pytest.mark.promise("The main job takes at most 300 MB of memory")
def test_the_main_job_takes_little_memory(tmp_path, record_property):
    command = [sys.executable, "-c", MEASURE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    status, megabytes = json.loads(done.stderr)
    assert status == [0, 0]
    assert megabytes <= LIMIT
    record_property("cases", len(WORDS))
