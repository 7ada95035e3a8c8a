"""Worker processes: each runs jobs, one after the other, and keeps what it has composed."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.process import parent_process
from types import ModuleType
from typing import Any, NoReturn, Protocol

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from omegaconf.basecontainer import BaseContainer as Resolvers

from runner.result import RunResult

# A copy of a process that has threads, such as those of the BLAS, may hang: workers start anew.
SPAWN = multiprocessing.get_context("spawn")
STOPPING = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 3.0  # seconds that a worker has to put its job away


class Launcher(Protocol):
    """What a worker does its jobs with; it is copied into the process."""

    def attempt(self, number: int, overrides: list[str]) -> JobReturn:
        """Run one job and return how it ended."""
        ...


class Worker:
    """A process for one job at a time.

    Parameters
    ----------
    content : the pickled launcher and Hydra's state that it is started with.

    Attributes
    ----------
    connection : has something to read when the job has ended, or the process.
    """

    connection: Any  # Windows has another class for it

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.process: SpawnProcess | None = None
        self.overrides: list[str] = []

    def start(self) -> None:
        """Start the process, or another one in the place of one that was killed."""
        self.stop()
        self.connection, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=work, args=(theirs, self.content))
        with without_script():
            self.process.start()
        theirs.close()  # theirs alone now: it ends when they do

    def stop(self, seconds: float = 0.0) -> None:
        """End the process, by force when it is not over in so many seconds."""
        if self.process is not None and self.process.pid is not None:
            self.process.join(seconds)
            self.process.kill()
            self.process.join()
            self.connection.close()

    def give(self, number: int, overrides: list[str]) -> None:
        """Start a job."""
        self.overrides = overrides
        try:
            self.connection.send((number, overrides))
        except OSError:  # it was killed
            self.start()
            self.connection.send((number, overrides))

    def take(self) -> JobReturn:
        """Return how the job ended."""
        try:
            job: JobReturn = self.connection.recv()
        except (EOFError, OSError):
            assert self.process is not None
            self.process.join()
            job = JobReturn(overrides=self.overrides, status=JobStatus.FAILED)
            error = f"the worker was killed (exit code {self.process.exitcode})"
            job.return_value = ChildProcessError(error)
        return job


@contextlib.contextmanager
def workers(launcher: Launcher, number: int) -> Iterator[list[Worker]]:
    """Yield worker processes; none of them is left afterwards, whatever happens."""
    content = pickle.dumps((launcher, Singleton.get_state()["instances"]))
    made = [Worker(content) for _ in range(number)]
    try:
        for worker in made:
            worker.start()
        yield made[:]
    finally:
        with undisturbed():
            for worker in made:
                if worker.process is not None and worker.process.pid is not None:
                    worker.process.terminate()
            end = time.monotonic() + PATIENCE
            for worker in made:
                worker.stop(max(0.0, end - time.monotonic()))


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C interrupt what is done after the first."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may ask for signals
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ready(busy: Iterable[Worker]) -> list[Worker]:
    """Wait until jobs end, and return their workers."""
    busy = list(busy)
    ended = wait([worker.connection for worker in busy])
    return [worker for worker in busy if worker.connection in ended]


def work(connection: "Connection[Any, Any]", content: bytes) -> None:
    """Run the jobs that come through a connection until it is closed: the worker's own program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which stops workers
    signal.signal(signal.SIGTERM, interrupt)
    threading.Thread(target=end_with_parent, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt, EOFError, OSError):
        setup_globals()  # resolvers are functions, which cannot be sent
        launcher, instances = pickle.loads(content)
        Singleton.set_state({"instances": instances, "omegaconf_resolvers": Resolvers._resolvers})
        while True:
            number, overrides = connection.recv()
            connection.send(portable(launcher.attempt(number, overrides)))


def interrupt(number: int, frame: object) -> NoReturn:
    """End a job as Ctrl-C does, once: the record of it is not to be interrupted."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def end_with_parent() -> None:
    """End the process when its parent has been killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def portable(job: JobReturn) -> JobReturn:
    """Return how a job ended in a form that can be sent: not every exception or value can."""
    if job.status == JobStatus.FAILED:
        error = job._return_value
        job.return_value = RuntimeError(f"{type(error).__name__}: {error}")
    elif job.return_value is not None:
        result = job.return_value
        job.return_value = RunResult(result.folder, {"run_id": result.row["run_id"]})
    return job


@contextlib.contextmanager
def without_script() -> Iterator[None]:
    """Hide the script that has started the program: a worker would run it once more."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
