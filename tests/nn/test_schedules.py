from runner.nn.schedules import SCHEDULES


def test_constant():
    assert [SCHEDULES["constant"]()(step, 4) for step in range(4)] == [1, 1, 1, 1]


def test_linear_falls_by_equal_steps_to_zero_after_the_last_update():
    assert [SCHEDULES["linear"]()(step, 4) for step in range(5)] == [1, 0.75, 0.5, 0.25, 0]


def test_every_schedule_is_tested():
    assert set(SCHEDULES) == {"constant", "linear"}
