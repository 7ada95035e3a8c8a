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
        form = wanted if isinstance(wanted, Mapping) else {"value": wanted}
        for key, number in form.items():
            if key not in FORMS:
                raise BadInput(f"{field}.{key}", one_of(FORMS), key, hint=did_you_mean(key, FORMS))
            if key != "value" and not _is_number(number):
                raise BadInput(f"{field}.{key}", "a number", number)
        banded = bool({"at_least", "at_most"} & set(form))
        if ("value" in form) == banded or (banded and "tolerance" in form):
            got = ", ".join(form)
            raise BadInput(field, "a value, a value and a tolerance, or a band", got)
        if form.get("tolerance", 0) < 0:
            raise BadInput(f"{field}.tolerance", "at least 0", form["tolerance"])
        if form.get("at_least", -math.inf) > form.get("at_most", math.inf):
            raise BadInput(
                field, "at_least below at_most", f"{form['at_least']}, {form['at_most']}"
            )
        if "value" in form:
            _check_value(field, form["value"])


def _check_value(field: str, value: Any) -> None:
    """Refuse what nothing can be equal to."""
    if isinstance(value, str):
        return
    try:
        array = np.asarray(value)
    except ValueError:
        raise BadInput(field, "rows of one length", value) from None
    if array.dtype.kind not in "biufU" or (
        array.dtype.kind == "f" and not np.isfinite(array).all()
    ):
        raise BadInput(field, "finite numbers, words or truth values", value)


def _is_number(value: Any) -> bool:
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return real and math.isfinite(value)


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
    tolerance = form.get("tolerance")
    if name not in recorded:
        hint = did_you_mean(name, recorded)
        got = f"nothing recorded{'; ' + hint if hint else ''}"
        return Verdict(name, False, _words(form), got, "")
    got = recorded[name]
    if "value" in form:
        if tolerance is None and _is_float(form["value"], got):
            tolerance = TOLERANCES[dtype]
        held = equal(form["value"], got, tolerance or 0.0)
        shown = "exact" if tolerance is None else f"{tolerance:g}"
    else:
        held, shown = _in_band(form, got), ""
    return Verdict(name, held, _words(form), short(got), shown)


def equal(wanted: Any, got: Any, tolerance: float) -> bool:
    """Say whether a value is the expected one, numbers within a tolerance.

    Lists and arrays must have the same shape.
    """
    if got is None or isinstance(wanted, (str, bool)) or isinstance(got, (str, bool)):
        return type(wanted) is type(got) and bool(wanted == got)
    left, right = np.asarray(wanted), np.asarray(got)
    if left.shape != right.shape:
        return False
    if left.dtype.kind not in "iufb" or right.dtype.kind not in "iufb":
        return bool(np.array_equal(left, right))
    return bool(np.all(np.abs(left.astype(np.float64) - right.astype(np.float64)) <= tolerance))


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
