"""The language of gates; Python's own arithmetic is the oracle."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.tables.gate import parse

METRICS = ("accuracy", "images_per_second")


@pytest.mark.parametrize(
    ("text", "baseline", "value", "excess"),
    [
        ("accuracy < baseline - 0.002", 0.9, 0.88, 0.018),
        ("images_per_second < 0.9 * baseline", 1000, 800, 100),
        ("accuracy>=.5", 0, 0.75, 0.25),
        ("(accuracy - baseline) / baseline > -1e-2", 0.5, 0.4, -0.19),
        ("1 - 2 - accuracy < 0", 0, 3, 4),
        ("8 / 2 / 2 * accuracy > 1 + 2 * 3", 0, 5, 3),
        ("--accuracy > -(-baseline)", 2, 5, 3),
        ("2 * (baseline + 1.) <= accuracy", 1, 7, 3),
    ],
)
def test_a_gate_exceeds_by_as_much_as_arithmetic_says(text, baseline, value, excess):
    gate = parse(text, METRICS)
    assert gate.excess(baseline, value) == pytest.approx(excess)
    assert gate.metric in text
    assert gate.strict == ("=" not in text)


EXPRESSIONS = st.recursive(
    st.sampled_from(["accuracy", "baseline", "2", "0.5", "1e-1"]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("-{}".format, inner),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, st.floats(0.5, 2), st.floats(0.5, 2))
def test_an_expression_has_the_value_that_python_gives_it(text, baseline, value):
    try:
        expected = eval(text, {"accuracy": value, "baseline": baseline})
    except ZeroDivisionError:
        return
    if len(text) < 150:
        gate = parse(f"{text} > accuracy", METRICS)
        assert gate.excess(baseline, value) == pytest.approx(expected - value, rel=1e-12)


@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_slopes_are_the_derivatives(baseline, value):
    gate = parse("accuracy / baseline < accuracy * 2 - 3 * baseline", METRICS)
    # excess = 2 m - 3 b - m / b
    expected = (-3 + value / baseline**2, 2 - 1 / baseline)
    assert gate.slopes(baseline, value) == pytest.approx(expected, rel=1e-12)
    assert parse("accuracy > 1", METRICS).slopes(baseline, value) == (0.0, 1.0)


NAMES = "accuracy, images_per_second, baseline"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a number, a metric, baseline or (, got the end at position 1 of ''"),
        (
            "accuracy",
            "expected <, <=, > or >=, got the end at position 9 of 'accuracy'",
        ),
        (
            "accuracy == 1",
            "expected <, <=, > or >=, got = at position 10 of 'accuracy == 1'",
        ),
        (
            "accuracy < ",
            "expected a number, a metric, baseline or (, got the end at position 11 of "
            "'accuracy < '",
        ),
        (
            "accuracy < 1 < 2",
            "expected an operator or the end, got < at position 14 of 'accuracy < 1 < 2'",
        ),
        (
            "acuracy < 1",
            f"expected one of {NAMES}, got acuracy at position 1 of 'acuracy < 1'; "
            "did you mean accuracy?",
        ),
        ("q < 1", f"expected one of {NAMES}, got q at position 1 of 'q < 1'"),
        (
            "accuracy < __import__('os')",
            f"expected one of {NAMES}, got __import__ at position 12 of "
            "\"accuracy < __import__('os')\"",
        ),
        (
            "(accuracy < 1",
            "expected an operator or ), got < at position 11 of '(accuracy < 1'",
        ),
        (
            "accuracy < images_per_second",
            "expected one metric, accuracy, got images_per_second at position 12 of "
            "'accuracy < images_per_second'",
        ),
        ("1 < baseline", "expected a metric, such as accuracy, got none in '1 < baseline'"),
        (
            "accuracy ** 2 < 1",
            "expected a number, a metric, baseline or (, got * at position 11 of "
            "'accuracy ** 2 < 1'",
        ),
        (
            "accuracy < 2 %",
            "expected an operator or the end, got % at position 14 of 'accuracy < 2 %'",
        ),
        ("(" * 300, "expected at most 200 characters, got 300"),
    ],
)
def test_what_is_wrong_is_said_with_its_position(text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse(text, METRICS)


@pytest.mark.parametrize("sign", ["(", "-"])
def test_the_deepest_text_is_no_bomb(sign):
    deep = sign * 180
    with pytest.raises(ValueError, match="expected"):
        parse(deep, METRICS)


def test_the_longest_text_is_read():
    assert parse("accuracy < 1".replace(" ", " " * 95), METRICS).excess(0, 0.25) == 0.75
    with pytest.raises(ValueError, match=r"^expected at most 200 characters, got 202$"):
        parse("accuracy < 1".replace(" ", " " * 96), METRICS)
