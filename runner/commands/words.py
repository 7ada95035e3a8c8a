"""The words of a command line, and what is wrong with them."""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from runner.lookup import BadInput, did_you_mean, one_of

CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "\ufffd")  # what a terminal would obey


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are bad input like any other, and whose texts keep their lines."""

    def __init__(self, **words: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **words)

    def error(self, message: str) -> NoReturn:
        """Raise BadInput."""
        # Python's words for it have changed from one version to the next.
        form = r"argument (?:-\w+/)?([\w-]+): invalid choice: '(.*?)' \(choose from (.*)\)"
        if choice := re.fullmatch(form, message):
            options = re.findall(r"[\w-]+", choice[3])
            hint = did_you_mean(choice[2], options)
            where = self.prog.removeprefix("runner ").replace("runner", "command line")
            raise BadInput(choice[1], one_of(options), choice[2], where=where, hint=hint)
        raise BadInput.because(self.prog, message, where="command line")

    def following(self, words: Iterable[str]) -> argparse.Action | None:
        """Return the argument that comes after some words: the value of the last, or the next."""
        waiting: list[argparse.Action] = self._get_positional_actions()
        option = None
        for word in words:
            if option is not None:
                option = None  # the word was its value
            elif word.startswith("-"):
                named = self._option_string_actions.get(word)
                option = named if named is not None and named.nargs != 0 else None
            elif waiting and waiting[0].nargs not in ("*", "+"):
                waiting.pop(0)
        return option or (waiting[0] if waiting else None)


def complain(message: object, status: int) -> int:
    """Print one line on stderr, with nothing in it that a terminal obeys; return the status."""
    print(" ".join(f"error: {message}".split()).translate(CONTROLS), file=sys.stderr)
    return status


@contextmanager
def unusable(where: str) -> Iterator[None]:
    """Turn a complaint about a table or a gate into bad input."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise BadInput.because("", error, where=where) from error
