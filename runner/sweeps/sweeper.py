"""The sweeper behind ``-m``, a Hydra plugin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from runner.lookup import BadInput
from runner.sweeps import plan
from runner.tables import store

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class RunnerSweeperConf:
    """The sweeper's node; what it needs to know is under ``sweep`` and ``output_dir``."""

    _target_: str = "runner.sweeps.sweeper.RunnerSweeper"


@dataclass
class SweepResult:
    """A sweep's folder, its results (one row per job), and how many jobs were planned.

    ``unexpected`` says in words which jobs did not complete or did not give what they expect.
    """

    folder: Path
    results: "pd.DataFrame"
    planned: int
    unexpected: list[str]


class RunnerSweeper(Sweeper):
    """Plans all jobs before any of them runs, and merges their results."""

    config: DictConfig
    context: HydraContext
    launcher: Launcher

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra hands over, and make the launcher."""
        self.config, self.context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> SweepResult:
        """Run every combination of the arguments' values.

        Raises
        ------
        BadInput
            Before anything is written, when one of the jobs cannot be run.
        """
        jobs = self.plan(arguments)
        name = self.config.sweep.name
        folder = store.sweep_folder(self.config.output_dir, name, datetime.now(UTC))
        try:
            store.create_sweep(folder, plan.table(jobs), arguments)
        except FileExistsError:
            where = "command line"
            raise BadInput("sweep.name", "a name not taken", name, where=where) from None
        self.config.hydra.sweep.dir = str(folder)
        try:
            self.launcher.launch([job.overrides for job in jobs.values()], initial_job_idx=0)
        finally:
            results = store.merge_sweep(folder)
        return SweepResult(folder, results, len(jobs), unexpected(folder, results))

    def plan(self, arguments: Sequence[str]) -> dict[str, plan.Job]:
        """Return the jobs by their run_id: two that are the same run are one job."""
        loader = self.context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        overrides = parser.parse_overrides(list(arguments))
        options = {
            override.key_or_group: loader.get_group_options(
                override.key_or_group, ObjectType.CONFIG
            )
            for override in overrides
            if override.key_or_group in loader.list_groups("")
        }
        jobs: dict[str, plan.Job] = {}
        for job in plan.expand(overrides, options, self.config.sweep.max_runs):
            cfg = loader.load_sweep_config(self.config, list(job.overrides))
            jobs.setdefault(store.run_id(Path(cfg.hydra.sweep.subdir)), job)
        return jobs


def unexpected(folder: Path, results: "pd.DataFrame") -> list[str]:
    """Return a line for each job that did not complete, unless that was expected, or differs."""
    lines = []
    for row in results.to_dict("records"):
        verdicts = store.read_expectations(folder / store.job_folder(str(row["run_id"])))
        told = any(verdict["name"] == "status" for verdict in verdicts)
        wrong = [
            f"{verdict['name']}: expected {verdict['expected']}, got {verdict['got']}"
            for verdict in verdicts
            if not verdict["held"]
        ]
        if row["status"] != "completed" and not told:
            wrong = [f"{row['status']}: {row['error']}"]
        if wrong:
            lines.append(f"{row['run_id']}: {'; '.join(wrong)}")
    return lines


def register() -> None:
    """Make the sweeper known to Hydra, which looks for plugins in ``hydra_plugins`` only."""
    own = ("hydra_plugins.", "hydra._internal.core_plugins.", "runner.")
    check: Any = staticmethod(lambda name: name.startswith(own))
    Plugins.is_in_toplevel_plugins_module = check  # type: ignore[method-assign]
    ConfigStore.instance().store(
        group="hydra/sweeper", name="runner", node=RunnerSweeperConf, provider="runner"
    )
    Plugins.instance().register(RunnerSweeper)
