import pytest
from scipy import stats

from runner.tables.intervals import wilson


@pytest.mark.parametrize(
    ("correct", "n"), [(0, 1), (1, 1), (4, 4), (0, 50), (9352, 10000), (4890, 5000), (1, 3)]
)
def test_equals_scipy(correct, n):
    interval = stats.binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert wilson(correct, n) == pytest.approx((interval.low, interval.high), abs=1e-12)
