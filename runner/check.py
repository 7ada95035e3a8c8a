"""Compose and build every choice and every experiment; run those that say what they expect."""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.types import RunMode

from runner.app import composer, quoted
from runner.app import run as app_run
from runner.choices import CONF, groups
from runner.compose.composition import to_config
from runner.compose.errors import NotInstalled, to_bad_input
from runner.compose.loader import Loader, user_folders
from runner.config import Config, validate
from runner.data import DataAbsent
from runner.job import TASKS, identify
from runner.lookup import BadInput, NotGiven, did_you_mean, find
from runner.tasks import parts

Builder = Callable[[Config, Sequence[Path]], Any]

# What of a configuration each group's choice makes; the rest of the house needs not fit it.
BUILDERS: dict[str, Builder] = {
    "task": lambda config, folders: find("task.name", config.task.name, TASKS, folders),
    "dataset": lambda config, folders: parts.load_dataset(config, folders, download=False),
    "network": parts.hidden_activations,
    "activation": parts.hidden_activations,
    "output": parts.make_output,
    "loss": parts.make_loss,
    "optimizer": parts.make_optimizer,
    "schedule": parts.make_schedule,
    "distortion": parts.make_distortion,
    "init": parts.make_initializer,
    "weights": parts.load_weights,
}


@dataclass(frozen=True)
class Finding:
    """One choice and how it went: ``ok``, ``skipped`` or ``failed``, with the reason."""

    choice: str
    status: str
    reason: str = ""


def check(
    names: Sequence[str] = (),
    overrides: Sequence[str] = (),
    config_dir: str | Path | None = None,
    *,
    run: bool = False,
) -> Iterator[Finding]:
    """Yield a finding for every choice and experiment, or for the named ones.

    Parameters
    ----------
    names : experiments (``and_gate``) or choices (``activation/relu``).
    overrides : applied to each of them.
    config_dir : a folder of one's own; then only what it holds is checked.
    run : whether experiments that carry ``expect`` are run too, on all cores. Those below
        ``experiment/published`` run only when they are named.

    Raises
    ------
    BadInput
        For a name that is not there.
    """
    chosen = select(names, config_dir or CONF)
    to_run: list[str] = []
    with composer(config_dir, builds=False, download=False) as hydra:
        loader: Any = hydra.config_loader
        for group, choice in chosen:
            finding, config = examine(loader, group, choice, overrides, bool(names))
            ours = group.split("/")[0] == "experiment"
            short = bool(names) or not group.startswith("experiment/published")
            if run and ours and short and config is not None:
                if config.expect:
                    to_run.append(finding.choice)
                    continue
                changed = " ".join(loader.unchecked)
                reason = f"not checked, changed by {changed}" if changed else "nothing expected"
                finding = Finding(finding.choice, "ok", reason)
            yield finding
    yield from run_all(to_run, overrides, config_dir)


def run_all(
    experiments: Sequence[str], overrides: Sequence[str], config_dir: str | Path | None
) -> Iterator[Finding]:
    """Yield a finding for each experiment, run in processes of their own, a core each."""
    if len(experiments) == 1:
        yield run_one(experiments[0], tuple(overrides), config_dir)
    elif experiments:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as pool:
            jobs = {
                name: pool.submit(run_one, name, tuple(overrides), config_dir)
                for name in experiments
            }
            for name, job in jobs.items():
                try:
                    yield job.result()
                except Exception as error:  # such as a process that was killed
                    reason = " ".join(f"{type(error).__name__}: {error}".split())
                    yield Finding(name, "failed", reason)


def run_one(experiment: str, overrides: tuple[str, ...], config_dir: str | Path | None) -> Finding:
    """Run one experiment, its files thrown away, and judge what it expects."""
    word = f"experiment={experiment.removeprefix('experiment/')}"
    with tempfile.TemporaryDirectory() as folder:
        own = [f"output_dir={quoted(folder)}", "figures=none"]
        try:
            result = app_run([word, *overrides, *own], config_dir=config_dir)
        except BadInput as bad:
            return Finding(experiment, "failed", str(bad))
    if result.as_expected:
        return Finding(experiment, "ok", f"{len(result.verdicts)} expectations held")
    if result.status != "completed":
        return Finding(experiment, "failed", f"{result.status}: {result.row['error']}")
    wrong = [f"{v.name}: expected {v.expected}, got {v.got}" for v in result.verdicts if not v.held]
    return Finding(experiment, "failed", "; ".join(wrong))


def select(names: Sequence[str], folder: str | Path) -> list[tuple[str, str]]:
    """Return the (group, choice) pairs that are meant by names, all of them by none."""
    every = {
        f"{group}/{choice}": (group, choice)
        for group, choices in groups(folder).items()
        for choice in choices
    }
    if not names:
        return list(every.values())
    experiments = {
        key.removeprefix("experiment/"): pair
        for key, pair in every.items()
        if key.startswith("experiment/")
    }
    known = every | experiments
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise BadInput(
                name, "an experiment or group/choice", "none such", where="check", hint=hint
            )
    return [known[name] for name in names]


def examine(
    loader: Loader, group: str, choice: str, overrides: Sequence[str], named: bool
) -> tuple[Finding, Config | None]:
    """Compose and build one choice; return the finding and the configuration, if there is one.

    A ``data_dir`` is of one dataset: others that were not ``named`` are skipped for its sake.
    """
    name = f"{group}/{choice}"
    if group.partition("/")[0] == "experiment":
        word = f"experiment={name.removeprefix('experiment/')}"
    else:
        word = f"{group}={choice}"
    words = [word, *overrides]
    try:
        cfg = loader.load_configuration("config", words, RunMode.RUN)
        config, folders = to_config(cfg), user_folders(cfg.hydra)
        validate(config)
        if group in BUILDERS:
            BUILDERS[group](config, folders)
        else:
            identify(config, folders, in_sweep=False, download=False)
    except Exception as error:
        finding = judged(name, error, words)
        theirs = group == "dataset" and ": data_dir: " in finding.reason
        return replace(finding, status="skipped") if theirs and not named else finding, None
    return Finding(name, "ok"), config


def judged(name: str, error: Exception, words: Sequence[str]) -> Finding:
    """Return the finding for an exception: what is only absent or left open did not fail."""
    bad = to_bad_input(error, words)
    if isinstance(bad, NotInstalled) or isinstance(bad.__cause__, DataAbsent):
        return Finding(name, "skipped", str(bad))
    if isinstance(bad, NotGiven):
        return Finding(name, "ok", f"{bad.field} is left to the user")
    return Finding(name, "failed", str(bad))
