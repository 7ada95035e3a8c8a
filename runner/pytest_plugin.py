"""Experiments as tests: ``pytest --runner-experiments DIR`` runs those of a config folder.

Each experiment of DIR that carries ``expect`` is one test; it fails when an
expectation does not hold, and is skipped when its data is absent.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("runner")
    group.addoption(
        "--runner-experiments",
        action="append",
        default=[],
        metavar="DIR",
        help="config folder whose experiments are tests (repeatable)",
    )
    group.addoption(
        "--runner-override",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override for each of them, such as data_dir=DIR (repeatable)",
    )


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add a test for each experiment."""
    for folder in config.getoption("--runner-experiments"):
        items += experiments(session, Path(folder))


def experiments(session: pytest.Session, folder: Path) -> Iterator["Experiment"]:
    """Yield the experiments of a config folder as tests."""
    from runner.choices import groups

    if not (folder / "experiment").is_dir():
        raise pytest.UsageError(
            f"--runner-experiments: expected a folder with experiment/, got {folder}"
        )
    for group, choices in groups(folder).items():
        if group.split("/")[0] == "experiment" and not group.startswith("experiment/published"):
            for choice in choices:
                name = f"{group}/{choice}".removeprefix("experiment/")
                yield Experiment.from_parent(session, name=f"{folder}::{name}", folder=folder)


class Experiment(pytest.Item):
    """One experiment and what it expects."""

    def __init__(self, *, folder: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = folder
        self.choice = self.name.rpartition("::")[2]

    def runtest(self) -> None:
        """Compose, build and run it."""
        from runner.check import check
        from runner.choices import CONF

        own = None if self.folder.resolve() == CONF.resolve() else self.folder
        overrides = self.config.getoption("--runner-override")
        (finding,) = check([f"experiment/{self.choice}"], overrides, own, run=True)
        if finding.status == "failed":
            pytest.fail(finding.reason, pytrace=False)
        if not finding.reason.endswith("held"):  # no data, nothing expected, or not checked
            pytest.skip(finding.reason)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Say where it is written."""
        path = self.folder / "experiment" / f"{self.choice}.yaml"
        return path, None, f"experiment {self.choice}"
