"""The command line: which command is meant, and the exit status it ends with.

Help is answered before anything heavy is imported.
"""

import io
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from runner.commands import COMMANDS, about, module
from runner.commands.words import complain
from runner.lookup import BadInput, did_you_mean, interrupt_behind

HELP = """\
usage: runner [options] [key=value ...]     one run, or with -m a sweep
       runner COMMAND [...]                 `runner COMMAND -h` explains each

Neural networks in plain NumPy, declared in YAML.

examples:
  runner                                                  classify 5,000 digits
  runner batch_size=[1,10,100,1000]                       a timing block for each
  runner task=training dataset=digits                     train from scratch
  runner -m activation='glob(*)' output=softmax,identity  a sweep: a row for each pair
  runner experiment=and_gate                              an example that checks itself
  runner init mine                                        a folder for choices of your own

commands:
{commands}

options:
{options}

groups and their choices (`runner choices GROUP` explains them):
{choices}

Any other key of the configuration can be set too: `runner --cfg job` shows all.
"""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run like Ctrl-C does."""


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Returns
    -------
    0 done; 1 a check or a job did not hold; 2 bad input; 130 and 143 after SIGINT and SIGTERM.
    """
    # Whether nothing comes after us in this process.
    alone = words is None and threading.current_thread() is threading.main_thread()
    words = list(sys.argv[1:] if words is None else words)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # `python -m` has it, the console script has not
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # better than no answer
    try:
        with terminating():
            status = dispatch(words)
            sys.stdout.flush()  # here, where a reader who has gone is expected
            if alone:
                signal.signal(signal.SIGINT, signal.SIG_DFL)  # too late for a word about it
            return status
    except (Exception, KeyboardInterrupt) as error:
        interrupt = interrupt_behind(error)
        if interrupt is None:
            return failure(error)
        if isinstance(interrupt, Terminated):
            return complain(said("terminated", interrupt), 143)
        return complain(said("interrupted", interrupt), 130)


def failure(error: BaseException) -> int:
    """Say what went wrong and return the status; raise again what is a mistake of the program."""
    if isinstance(error, BadInput):
        return complain(error, 2)
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, OSError):
        return complain(f"{error.filename or 'system'}: {error.strerror or error}", 1)
    raise error


def said(word: str, error: BaseException) -> str:
    """Return a word and the notes that an exception was given on its way."""
    return "; ".join([word, *getattr(error, "__notes__", ())])


@contextmanager
def terminating() -> Iterator[None]:
    """Turn SIGTERM into an exception while the program is at work."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may ask for signals
        return

    def terminate(number: int, frame: object) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def dispatch(words: list[str]) -> int:
    """Find the command and do it; without one, run what the words configure."""
    name = "run"
    if words[:1] and re.fullmatch(r"[^-+~=][^=]*", words[0]):
        name, *words = words
        if name not in COMMANDS:
            expected = "a command (" + ", ".join(COMMANDS) + ") or key=value"
            hint = did_you_mean(name, COMMANDS)
            raise BadInput(name, expected, name, where="command line", hint=hint)
    command = module(name)
    options = command.parser().parse_intermixed_args(words)
    if name == "run" and options.help:
        print(help_text(), end="")
        return 0
    status: int = command.do(options)
    return status


def help_text() -> str:
    """Return the help with the commands, the options and the choices."""
    from runner.choices import listing

    options = module("run").parser().format_help().partition("options:\n")[2].rstrip()
    commands = "\n".join(f"  {name:<12} {about(name)}" for name in COMMANDS)
    return HELP.format(commands=commands, options=options, choices=listing())
