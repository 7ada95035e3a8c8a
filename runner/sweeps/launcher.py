"""The launcher that runs the jobs of a sweep one after the other, in this process.

It does for each job what Hydra's own does, in a tenth of the time:
configurations are not copied whole, and what is the same in many jobs is
written out once.
"""

import logging
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, env_override, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf._utils import OmegaConfDumper

from runner.tables import store

OF_THE_JOB = ("job", "overrides", "run", "runtime", "sweep")  # what differs in Hydra's own part
log = logging.getLogger(__name__)


@dataclass
class RunnerLauncherConf:
    """The launcher's node."""

    _target_: str = "runner.sweeps.launcher.RunnerLauncher"


class Dumper(yaml.CSafeDumper):
    """OmegaConf's way of writing YAML, by libyaml."""


Dumper.add_representer(str, OmegaConfDumper.str_representer)  # type: ignore[arg-type]


class RunnerLauncher(Launcher):
    """Runs jobs in this process.

    Attributes
    ----------
    ended : called after each job; what it returns says whether to go on.
    """

    config: DictConfig
    context: HydraContext
    task: TaskFunction
    ended: Callable[[JobReturn], bool]

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra hands over."""
        self.config, self.context, self.task = config, hydra_context, task_function
        self.ended = lambda job: True
        self.texts: dict[tuple[Any, ...], str] = {}

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        """Run jobs, each given as its overrides, and return how each ended."""
        setup_globals()
        done = []
        for number, overrides in enumerate(job_overrides, start=initial_job_idx):
            done.append(self.attempt(number, list(overrides)))
            if not self.ended(done[-1]):
                break
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        return done

    def attempt(self, number: int, overrides: list[str]) -> JobReturn:
        """Run one job; an exception of the program or of a callback is how it ended."""
        job = JobReturn(overrides=overrides)
        before = HydraConfig.instance().cfg
        try:
            cfg = self.context.config_loader.load_sweep_config(self.config, overrides)
            with open_dict(cfg):
                cfg.hydra.job.id = cfg.hydra.job.num = number
                folder = Path(cfg.hydra.sweep.dir, cfg.hydra.sweep.subdir).absolute()
                cfg.hydra.runtime.output_dir = str(folder)
            HydraConfig.instance().cfg = cfg  # type: ignore[assignment]
            self.run(cfg, folder, job)
        except Exception as error:
            fail(job, error)
        finally:
            HydraConfig.instance().cfg = before
        return job

    def run(self, cfg: DictConfig, folder: Path, job: JobReturn) -> None:
        """Run one job in its folder."""
        hydra, callbacks = cfg.hydra, self.context.callbacks
        folder.mkdir(parents=True, exist_ok=True)
        configure_log(hydra.job_logging, hydra.verbose)
        self.record(cfg, folder / hydra.output_subdir)
        with env_override(hydra.job.env_set):
            callbacks.on_job_start(config=cfg, task_function=self.task)
            try:
                job.return_value, job.status = self.task(cfg), JobStatus.COMPLETED
            except Exception as error:  # callbacks are told of it too
                fail(job, error)
            callbacks.on_job_end(config=cfg, job_return=job)

    def record(self, cfg: DictConfig, folder: Path) -> None:
        """Write Hydra's three files."""
        own: Any = OmegaConf.to_container(cfg, resolve=False, enum_to_str=True)
        hydra = own.pop("hydra")
        choices = tuple(hydra["runtime"]["choices"].items())
        if choices not in self.texts:
            shared = {key: value for key, value in hydra.items() if key not in OF_THE_JOB}
            self.texts[choices] = dump({"hydra": shared})
        job = textwrap.indent(dump({key: hydra[key] for key in OF_THE_JOB}), "  ")
        texts = {
            "config.yaml": dump(own),
            "hydra.yaml": self.texts[choices] + job,
            "overrides.yaml": dump(hydra["overrides"]["task"]),
        }
        for name, text in texts.items():
            store.write_bytes(folder / name, text.encode())


def fail(job: JobReturn, error: Exception) -> None:
    """Say that an exception is how a job ended."""
    log.error("the job failed", exc_info=error)
    job.return_value, job.status = error, JobStatus.FAILED


def dump(content: Any) -> str:
    """Return plain containers as YAML."""
    text: str = yaml.dump(
        content, Dumper=Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False
    )
    return text
