"""Runs the program in processes that are forked from this one, which has loaded it already.

Each line on standard input is an order: where to run, the words, and what is to go wrong. An
answer is the child's process id, and then, when it is over, its exit status and what it printed.
A child is killed, or told by an exception that the disk is full, at a chosen one of its steps: a
file below ``outputs`` that is opened, written, synced, or renamed, or a folder that is made.
"""

import builtins
import contextlib
import errno
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path

STEPS = Path("steps")  # of the child, a line each
HANGS = 120  # seconds after which a child is killed, so that a test fails and does not wait


class Faults:
    """Counts the steps of this process, and lets one of them go wrong.

    Parameters
    ----------
    order
        ``at``: the number of the step, from 1, of the kinds in ``kinds``; ``how``: `kill`, or
        `delete` of all outputs, or the name of an error; ``lasting``: whether every step after it
        goes wrong too.
    """

    def __init__(self, order):
        self.at, self.how = order.get("at", 0), order.get("how")
        self.lasting, self.kinds = order.get("lasting", False), order.get("kinds")
        self.root = os.path.realpath("outputs")
        self.count, self.fd = 0, os.open(STEPS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def ours(self, path):
        return isinstance(path, (str, os.PathLike)) and os.path.realpath(path).startswith(self.root)

    def step(self, kind, path):
        """Count a step; return whether it is to go wrong."""
        if self.kinds and kind not in self.kinds:
            return False
        self.count += 1
        os.write(self.fd, f"{kind} {path}\n".encode())
        wrong = self.count == self.at or (self.lasting and 0 < self.at < self.count)
        if wrong and self.how == "kill" and kind != "write":
            os.kill(os.getpid(), signal.SIGKILL)
        if wrong and self.how == "delete":
            shutil.rmtree(self.root)
            return False
        return wrong

    def error(self, path):
        number = getattr(errno, self.how)
        return OSError(number, os.strerror(number), str(path))

    def before(self, kind, function, places):
        """Return a function that takes a step before it does what another one does."""

        def stepping(*args, **named):
            if (kind == "fsync" or self.ours(args[0])) and self.step(kind, args[places]):
                raise self.error(args[places])
            return function(*args, **named)

        return stepping

    def install(self):
        for name, kind, place in (
            ("open", "open", 0),
            ("mkdir", "mkdir", 0),
            ("rename", "rename", 1),
            ("replace", "rename", 1),
            ("fsync", "fsync", 0),
        ):
            setattr(os, name, self.before(kind, getattr(os, name), place))
        io.open = builtins.open = self.opener(io.open)

    def opener(self, real):
        faults = self

        class Raw(io.FileIO):
            """Half of what it is to write may be all that it writes."""

            def write(self, content):
                if not faults.step("write", self.name):
                    return super().write(content)
                super().write(bytes(content)[: len(content) // 2])
                if faults.how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise faults.error(self.name)

        def opened(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, **more):
            if not self.ours(file):
                return real(file, mode, buffering, encoding, errors, newline, **more)
            if self.step("open", file):
                raise self.error(file)
            if mode[:1] == "r":
                return real(file, mode, buffering, encoding, errors, newline, **more)
            binary = io.BufferedWriter(Raw(file, mode.replace("b", "").replace("t", "")))
            return binary if "b" in mode else io.TextIOWrapper(binary, encoding, errors, newline)

        return opened


def child(order, pipes):
    """Do what a process of the program does."""
    os.setsid()
    os.chdir(order["folder"])
    os.environ.update(order.get("environment", {}))
    for fd, other in enumerate((os.open(os.devnull, os.O_RDONLY), *pipes)):
        os.dup2(other, fd)
    sys.stdout, sys.stderr = (open(fd, "w", buffering=1) for fd in (1, 2))  # noqa: PTH123, SIM115
    for name, value in order.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if "fault" in order:
        Faults(order["fault"]).install()
    from runner.cli import main

    os.write(order["ready"], b".")
    return main(order["words"])


def load():
    """Load what a sweep needs, by doing one."""
    from runner.cli import main

    printed = contextlib.redirect_stdout(io.StringIO())
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place), printed:
        assert main(["-m", "task=perceptron", "dataset=and,or"]) == 0


def serve(order):
    """Fork a child that does what is ordered; return its status and what it printed."""
    pipes = [os.pipe() for _ in range(2)]
    waiting, order["ready"] = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            status = child(order, [write for _, write in pipes])
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(order["ready"])
    os.read(waiting, 1)
    os.close(waiting)
    print(pid, flush=True)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(pid, signal.SIGKILL))
    signal.alarm(HANGS)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(0)
    return status, *(drained(*pipe) for pipe in pipes)


def drained(read, write):
    """Return what is in a pipe: somebody whom the child has left behind may still hold it."""
    os.close(write)
    os.set_blocking(read, False)
    content = b""
    with contextlib.suppress(BlockingIOError):
        while more := os.read(read, 2**16):
            content += more
    os.close(read)
    return content.decode(errors="replace")


if __name__ == "__main__":
    load()
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)
elif "RUNNER_FAULT" in os.environ:  # in a worker, which imports this at its start
    Faults(json.loads(os.environ["RUNNER_FAULT"])).install()
