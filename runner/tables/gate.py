"""The small language of ``--fail-if``: ``accuracy < 0.99 * baseline``.

    gate   = sum ("<" | "<=" | ">" | ">=") sum
    sum    = term { ("+" | "-") term }
    term   = factor { ("*" | "/") factor }
    factor = number | name | "-" factor | "(" sum ")"

A name is a metric, or ``baseline``: the same metric of the baseline.
"""

import difflib
import operator
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

LENGTH = 200  # of the text, which also bounds how deep it can be nested
WORD = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)|(\w+)|([<>]=?|\S))")
RELATIONS = {"<": -1.0, "<=": -1.0, ">": 1.0, ">=": 1.0}
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
Formula = Callable[[Any, Any], Any]  # of the baseline's and the other's value


class Gate(NamedTuple):
    """A condition on a metric: it holds where ``excess`` is above 0 (or is 0, if not strict)."""

    text: str
    metric: str
    strict: bool
    excess: Formula

    def slopes(self, baseline: float, value: float) -> tuple[float, float]:
        """Return the derivatives of the excess by both values.

        By a step along the imaginary axis, which cancels no digits (Squire and Trapp 1998,
        SIAM Rev. 40, 110-112).
        """
        step = 1e-30
        by_baseline = complex(self.excess(complex(baseline, step), value))
        by_value = complex(self.excess(baseline, complex(value, step)))
        return by_baseline.imag / step, by_value.imag / step


class Token(NamedTuple):
    """A word of the text, and where it starts, counted from 1."""

    kind: str
    text: str
    position: int


def parse(text: str, metrics: Collection[str]) -> Gate:
    """Return the gate that a text says.

    Raises
    ------
    ValueError
        Naming the position of what is wrong.
    """
    if len(text) > LENGTH:
        raise ValueError(f"expected at most {LENGTH} characters, got {len(text)}")
    return _Parser(text, metrics).gate()


def tokens(text: str) -> Iterator[Token]:
    """Yield the words of a text, then its end."""
    text = text.rstrip()
    position = 0
    while match := WORD.match(text, position):
        kind = ("number", "name", "sign")[(match.lastindex or 3) - 1]
        yield Token(kind, match[match.lastindex or 0], match.start(match.lastindex or 0) + 1)
        position = match.end()
    yield Token("end", "the end", len(text) + 1)


class _Parser:
    """Reads a gate from left to right, a function for each rule of the grammar."""

    def __init__(self, text: str, metrics: Collection[str]) -> None:
        self.text, self.metrics = text, metrics
        self.tokens = tokens(text)
        self.token = next(self.tokens)
        self.metric: str | None = None

    def gate(self) -> Gate:
        left = self.sum()
        relation = self.token
        if relation.text not in RELATIONS:
            raise unexpected("<, <=, > or >=", self.token, self.text)
        self.advance()
        right = self.sum()
        if self.token.kind != "end":
            raise unexpected("an operator or the end", self.token, self.text)
        if self.metric is None:
            raise ValueError(f"expected a metric, such as accuracy, got none in {self.text!r}")
        sign = RELATIONS[relation.text]
        return Gate(
            self.text,
            self.metric,
            relation.text in "<>",
            lambda baseline, value: sign * (left(baseline, value) - right(baseline, value)),
        )

    def sum(self) -> Formula:
        return self.chain(("+", "-"), self.term)

    def term(self) -> Formula:
        return self.chain(("*", "/"), self.factor)

    def chain(self, signs: tuple[str, ...], part: Callable[[], Formula]) -> Formula:
        made = part()
        while self.token.text in signs:
            apply = OPERATORS[self.token.text]
            self.advance()
            made = _joined(apply, made, part())
        return made

    def factor(self) -> Formula:
        token = self.token
        self.advance()
        if token.kind == "number":
            constant = float(token.text)
            return lambda baseline, value: constant
        if token.kind == "name":
            return self.name(token)
        if token.text == "-":
            inner = self.factor()
            return lambda baseline, value: -inner(baseline, value)
        if token.text == "(":
            whole = self.sum()
            if self.token.text != ")":
                raise unexpected("an operator or )", self.token, self.text)
            self.advance()
            return whole
        raise unexpected("a number, a metric, baseline or (", token, self.text)

    def name(self, token: Token) -> Formula:
        if token.text == "baseline":
            return lambda baseline, value: baseline
        if token.text not in self.metrics:
            names = (*self.metrics, "baseline")
            near = difflib.get_close_matches(token.text, names, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise unexpected("one of " + ", ".join(names), token, self.text, hint)
        if self.metric not in (None, token.text):
            raise unexpected(f"one metric, {self.metric}", token, self.text)
        self.metric = token.text
        return lambda baseline, value: value

    def advance(self) -> None:
        self.token = next(self.tokens, self.token)


def unexpected(expected: str, token: Token, text: str, hint: str = "") -> ValueError:
    """Return the error that says where something else should stand."""
    return ValueError(
        f"expected {expected}, got {token.text} at position {token.position} of {text!r}{hint}"
    )


def _joined(apply: Callable[[Any, Any], Any], left: Formula, right: Formula) -> Formula:
    return lambda baseline, value: apply(left(baseline, value), right(baseline, value))
