import re

import numpy as np
import pytest

from runner.data import DataError
from runner.data.table import read_table


def read(text, column=None):
    return read_table(text.encode(), "a.csv", column)


def test_the_last_column_is_the_label():
    x, t = read("a,b,c\n1,2.5,0\n3,-4e1,1\n")
    assert x.tolist() == [[1.0, 2.5], [3.0, -40.0]]
    assert x.dtype == np.float64
    assert t.tolist() == [0, 1]
    assert t.dtype == np.int64


def test_another_column_by_its_name():
    x, t = read("a,b,c\n1,2,0\n3,4,1\n", "a")
    assert x.tolist() == [[2.0, 0.0], [4.0, 1.0]]
    assert t.tolist() == [1, 3]


@pytest.mark.parametrize("cell", ["1.0", "1e0", "1.", ".5"])
def test_labels_not_written_as_integers_are_targets(cell):
    _, t = read(f"a,b\n1,2\n3,{cell}\n")
    assert t.tolist() == [2.0, float(cell)]
    assert t.dtype == np.float64


@pytest.mark.parametrize(
    "text",
    [
        "a,b\r\n1,2\r\n",
        "a,b\n1,2",
        "a,b\n\n1,2\n\n",
        '"a","b"\n"1","2"\n',
        "a, b\n 1 , 2 \n",
        "\ufeffa,b\n1,2\n",
        "a,b\n+1,2\n",
        "größe,b\n1,2\n",
    ],
)
def test_what_programs_write(text):
    x, t = read(text)
    assert (x.tolist(), t.tolist()) == ([[1.0]], [2])


NAMES = "line 1: expected names of columns, got"
TWO = "line 1: expected two or more columns with commas, got"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{TWO} none"),
        ("\n1,2\n", f"{TWO} none"),
        ("a\n1\n", f"{TWO} one"),
        ("a;b\n1;2\n", f"{TWO} one"),
        ("1,2\n3,4\n", f"{NAMES} '1'"),
        ("a,-1e3\n3,4\n", f"{NAMES} '-1e3'"),
        (",a,b\n0,1,2\n", f"{NAMES} ''"),
        ("a,b,a\n0,1,2\n", "line 1: expected each column once, got 'a' twice"),
        ("a,b\n", "expected at least one line below the header, got none"),
        ("a,b\n\n \n", "expected at least one line below the header, got none"),
        ("a,b\n1,2\n1\n", "line 3: expected 2 cells, got 1"),
        ("a,b\n1,2\n1,2,3\n", "line 3: expected 2 cells, got 3"),
        ("a,b\n1,2\n \n", "line 3: expected 2 cells, got 1"),
        ('a,b\n1,2\n1,"2', "line 3: expected comma-separated numbers, got unexpected end of data"),
        (
            f"a,b\n1,1.{'0' * 2**17}\n",
            "line 2: expected comma-separated numbers, got field larger than field limit (131072)",
        ),
        ("a,b\n1,2,3\n", "line 2: expected 2 cells, got 3"),
        ("a,b\n1\n", "line 2: expected 2 cells, got 1"),
        ("a,b\n1,2\n\n1,x\n", "line 4: column b: expected a number, got 'x'"),
        ("a,b\n1,\n", "line 2: column b: expected a number, got ''"),
        ("a,b\nnan,2\n", "line 2: column a: expected a number, got 'nan'"),
        ("a,b\n1,2\n-inf,2\n", "line 3: column a: expected a number, got '-inf'"),
        ("a,b\n1,1e999\n", "line 2: column b: expected a number, got '1e999'"),
        ("a,b\n1_0,2\n", "line 2: column a: expected a number, got '1_0'"),
        ("a,b\n0x10,2\n", "line 2: column a: expected a number, got '0x10'"),
        ("a,b\n１,2\n", "line 2: column a: expected a number, got '１'"),  # noqa: RUF001
        ("a,b\n# 1,2\n", "line 2: column a: expected a number, got '# 1'"),
        ('a,b\n"1\n",x\n', "line 3: column b: expected a number, got 'x'"),
        ('a,b\n1,"2\n', "line 2: expected comma-separated numbers, got unexpected end of data"),
        ("a,b\n1,\0\n", "line 2: column b: expected a number, got '\\x00'"),
    ],
)
def test_refused_with_the_line(text, message):
    with pytest.raises(DataError, match=f"^{re.escape(f'a.csv: {message}')}$"):
        read(text)


def test_other_bytes_are_named_with_the_line():
    with pytest.raises(DataError, match=r"^a\.csv: line 2: expected UTF-8 text, got other bytes$"):
        read_table(b"a,b\n1,\xff\n", "a.csv", None)


def test_no_such_column():
    with pytest.raises(DataError, match=r"^a\.csv: column: expected one of a, b, got 'c'$"):
        read("a,b\n1,2\n", "c")
