import csv
import os
import shutil

import pytest

from runner.cli import main

TRAIN = ["task=training", "dataset=digits", "epochs=2"]
HOSTILE = "</script><script>document.title = 'owned'</script><img src=x onerror=alert(1)>\"'&"


def run(folder, *words):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*words]) == 0


@pytest.fixture(scope="session")
def read():
    """Return the function that reads a table's rows."""
    return read_rows


@pytest.fixture(scope="session")
def write():
    """Return the function that writes a table's rows."""
    return write_rows


@pytest.fixture(scope="session")
def markup():
    """A name that would break out of a page that did not escape it."""
    return HOSTILE


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with sweeps and single runs."""
    folder = tmp_path_factory.mktemp("reported")
    sizes = ["network.hidden=[50],[100]", "optimizer.params.lr=0.1,0.01", "sweep.replicates=3"]
    run(folder, "-m", *TRAIN, *sizes, "sweep.name=sizes")
    other = ["activation=sigmoid", "network.hidden=[50]", "optimizer.params.lr=0.1,0.01"]
    run(folder, "-m", *TRAIN, *other, "sweep.replicates=3", "sweep.name=sigmoid")
    run(folder, *TRAIN, "output_dir=training")
    run(folder, "dataset.limit=500", "batch_size=[10,100]", "output_dir=inference")
    run(folder, "experiment=descent", "output_dir=descent")
    run(folder, "task=functions", "output_dir=functions")
    run(folder, "task=perceptron", "dataset=and", "output_dir=gate")
    return folder


@pytest.fixture(scope="session")
def sizes(made):
    return made / "outputs/sweeps/sizes"


@pytest.fixture(scope="session")
def single(made):
    """Return the folder of the one run below an output folder."""

    def find(name):
        (found,) = (made / name).glob("runs/*/*")
        return found

    return find


@pytest.fixture(scope="session")
def hostile(sizes, tmp_path_factory):
    """A sweep whose name and values are markup."""
    folder = tmp_path_factory.mktemp("hostile") / "<script>alert(1)<" / "script> & 'more'"
    shutil.copytree(sizes, folder)
    for name in ("results.csv", "plan.csv"):
        rows = read_rows(folder / name)
        for row in rows:
            row["network.hidden"] = row["network.hidden"].replace("[50]", HOSTILE)
            row["=1+1"] = HOSTILE if row["seed"] == "0" else ""
        write_rows(folder / name, rows)
    return folder


@pytest.fixture(scope="session")
def thousand(sizes, tmp_path_factory):
    """A sweep of 1,000 runs, each with all its files."""
    folder = tmp_path_factory.mktemp("thousand") / "many"
    (folder / "jobs").mkdir(parents=True)
    rows, plan = read_rows(sizes / "results.csv"), read_rows(sizes / "plan.csv")
    jobs, planned = [], []
    for index in range(1_000):
        row, job = dict(rows[index % len(rows)]), dict(plan[index % len(plan)])
        job_folder = folder / "jobs" / f"{index:012x}"
        shutil.copytree(sizes / "jobs" / row["run_id"], job_folder, copy_function=os.link)
        new = {"run_id": f"{index:012x}", "optimizer.params.lr": f"{index // 2 / 1_000}"}
        jobs.append(row | new)
        planned.append(job | new)
    write_rows(folder / "results.csv", jobs)
    write_rows(folder / "plan.csv", planned)
    return folder


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
