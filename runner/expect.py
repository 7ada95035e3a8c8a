"""What an experiment expects of its run, and whether it holds.

``expect`` maps names of what a run records to a value, or to a mapping with
``value`` and ``tolerance`` (absolute), or with ``at_least`` and ``at_most``
(a band, closed at both ends). Numbers without a tolerance hold to 1e-8 in
float64 and 1e-6 in float32; whole numbers, words and truth values exactly.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.lookup import BadInput, did_you_mean, one_of

TOLERANCES = {"float32": 1e-6, "float64": 1e-8}
FORMS = ("value", "tolerance", "at_least", "at_most")


@dataclass(frozen=True)
class Verdict:
    """An expectation beside what was got.

    Attributes
    ----------
    expected, got, tolerance : in words, for people.
    """

    name: str
    held: bool
    expected: str
    got: str
    tolerance: str


def check_forms(expect: Mapping[str, Any]) -> None:
    """Refuse expectations that do not say what they expect.

    Raises
    ------
    BadInput
        Naming the key that is wrong.
    """
    for name, wanted in expect.items():
        field = f"expect.{name}"
        if not isinstance(wanted, Mapping):
            if wanted is None:
                raise BadInput(field, "a value, or value, tolerance, at_least, at_most", "none")
            continue
        for form, number in wanted.items():
            if form not in FORMS:
                raise BadInput(
                    f"{field}.{form}", one_of(FORMS), form, hint=did_you_mean(form, FORMS)
                )
            real = isinstance(number, (int, float)) and not isinstance(number, bool)
            if form != "value" and not (real and math.isfinite(number)):
                raise BadInput(f"{field}.{form}", "a number", number)
        if ("value" in wanted) == bool({"at_least", "at_most"} & set(wanted)):
            raise BadInput(field, "a value or a band (at_least, at_most)", "both or neither")


def judge(expect: Mapping[str, Any], recorded: Mapping[str, Any], dtype: str) -> list[Verdict]:
    """Return a verdict for each expectation.

    Parameters
    ----------
    expect : checked by `check_forms`.
    recorded : what the run recorded, by name: numbers, words, lists or arrays.
    dtype : float32 or float64, which sets the tolerance that is not given.
    """
    return [_verdict(name, wanted, recorded, dtype) for name, wanted in expect.items()]


def _verdict(name: str, wanted: Any, recorded: Mapping[str, Any], dtype: str) -> Verdict:
    form = wanted if isinstance(wanted, Mapping) else {"value": wanted}
    tolerance = form.get("tolerance", TOLERANCES[dtype])
    if name not in recorded:
        hint = did_you_mean(name, recorded)
        got = f"nothing recorded{'; ' + hint if hint else ''}"
        return Verdict(name, False, _words(form), got, "")
    got = recorded[name]
    if "value" in form:
        held = equal(form["value"], got, tolerance)
        shown = f"{tolerance:g}" if _is_float(form["value"], got) else "exact"
    else:
        held, shown = _in_band(form, got), ""
    return Verdict(name, held, _words(form), short(got), shown)


def equal(wanted: Any, got: Any, tolerance: float) -> bool:
    """Say whether a value is the expected one; real numbers within a tolerance.

    Lists and arrays must have the same shape.
    """
    if got is None or isinstance(wanted, (str, bool)) or isinstance(got, (str, bool)):
        return type(wanted) is type(got) and bool(wanted == got)
    left, right = np.asarray(wanted), np.asarray(got)
    if left.shape != right.shape:
        return False
    if left.dtype.kind not in "iufb" or right.dtype.kind not in "iufb":
        return bool(np.array_equal(left, right))
    if not _is_float(wanted, got):
        return bool(np.array_equal(left, right))
    return bool(np.all(np.abs(left - right.astype(np.float64)) <= tolerance))


def short(value: Any) -> str:
    """Return a value in a few words."""
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.10g}"
    text = np.array2string(np.asarray(value), precision=8, threshold=12)
    return " ".join(text.split()) if not isinstance(value, str) else value


def _is_float(wanted: Any, got: Any) -> bool:
    return "f" in (np.asarray(wanted).dtype.kind, np.asarray(got).dtype.kind)


def _in_band(form: Mapping[str, Any], got: Any) -> bool:
    if got is None or isinstance(got, (str, bool)):
        return False
    numbers = np.asarray(got, np.float64)
    low, high = form.get("at_least", -math.inf), form.get("at_most", math.inf)
    return bool(numbers.size and np.all((numbers >= low) & (numbers <= high)))


def _words(form: Mapping[str, Any]) -> str:
    if "value" in form:
        return short(form["value"])
    bounds = (("at_least", ">="), ("at_most", "<="))
    return " and ".join(f"{sign} {form[key]:g}" for key, sign in bounds if key in form)
