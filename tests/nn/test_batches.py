import tracemalloc

import numpy as np
import pytest

from runner.nn.batches import Batches

ROWS, FLOAT64 = 10, np.dtype(np.float64)


def images(samples=57, inputs=40, seed=0):
    """Bytes as those of images: 0 at the margins, rare next to them, dense in the middle."""
    rng = np.random.default_rng(seed)
    often = np.clip(np.sin(np.linspace(-0.6, np.pi + 0.6, inputs)), 0, None)
    often[inputs // 2] = 0  # one that is never used beside one that always is
    x = rng.integers(1, 256, (samples, inputs)) * (rng.random((samples, inputs)) < often**4)
    return x.astype(np.uint8)


def targets(x):
    return np.eye(3)[np.arange(len(x)) % 3]


def batches(x, rows=ROWS, dtype=FLOAT64, scale=1.0):
    return Batches(x, targets(x), rows, np.dtype(dtype), scale)


def assert_takes(made, x, chosen, scale=1.0):
    """Check a batch by the samples themselves."""
    x1, t, first = made.take(chosen)
    order = np.arange(x.shape[1]) if made.order is None else made.order
    expected = x[chosen][:, order].astype(np.float64) * scale
    tolerance = 1e-6 if x1.dtype == np.float32 else 1e-15
    assert x1.shape == (len(chosen), x.shape[1] + 1 - first)
    np.testing.assert_allclose(x1[:, :-1], expected[:, first:], rtol=tolerance)
    assert (x1[:, -1] == 1).all()
    assert not expected[:, :first].any()
    np.testing.assert_array_equal(t, targets(x)[chosen])
    assert x1.flags.c_contiguous
    assert t.flags.f_contiguous
    return x1, t, first


def test_images_are_arranged_by_how_many_batches_have_them():
    x = images()
    order = batches(x).order
    np.testing.assert_array_equal(np.sort(order), np.arange(40))
    np.testing.assert_array_equal(order[1::2], order[::2] + 1)  # neighbours stay together
    used = [
        sum(x[start : start + ROWS, pair : pair + 2].any() for start in range(0, len(x), ROWS))
        for pair in order[::2]
    ]
    assert used == sorted(used)
    assert used[0] == 0 < used[-1]


def test_unused_are_the_first_inputs_that_are_0_in_all_samples():
    x = images()
    made = batches(x)
    used = x[:, made.order].any(axis=0)
    assert 0 < made.unused < 40
    assert not used[: made.unused].any()
    assert used[made.unused]
    assert np.count_nonzero(~used) > made.unused  # the one beside a used one stays there


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 1 / 255])
def test_takes_samples_by_number_with_a_column_of_ones(dtype, scale):
    x, rng = images(), np.random.default_rng(1)
    before, made = x.copy(), batches(x, dtype=dtype, scale=scale)
    starts = set()
    for size in (10, 10, 3, 10, 1, 7, 1, 1, 10):
        x1, t, first = assert_takes(made, x, rng.permutation(57)[:size], scale)
        assert x1.dtype == t.dtype == dtype
        starts.add(first)
    assert len(starts) > 2
    np.testing.assert_array_equal(x, before)


def test_a_batch_begins_at_the_first_input_it_needs():
    x = images()
    made = batches(x)
    for number in range(57):
        x1, _, first = assert_takes(made, x, np.array([number]))
        assert x1[0, 0] != 0
        assert first >= made.unused


def test_the_same_sample_may_come_twice():
    assert_takes(batches(images()), images(), np.array([3, 3, 0, 56, 3]))


@pytest.mark.parametrize(("rows", "samples"), [(1, 1), (1, 5), (5, 5), (57, 57), (4, 5)])
def test_any_number_of_rows_and_samples(rows, samples):
    x = images(samples)
    assert_takes(batches(x, rows), x, np.arange(rows)[::-1])


@pytest.mark.parametrize("inputs", [2, 4])
def test_samples_that_are_all_0_lose_nothing(inputs):
    x = np.zeros((6, inputs), np.uint8)
    assert_takes(batches(x), x, np.arange(6))
    x[2, 1] = 7
    made = batches(x)
    for number in range(6):
        assert_takes(made, x, np.array([number]))


LEFT_ALONE = {
    "of float32": images().astype(np.float32),
    "of float64": images() / 3,
    "of 16 bits": images().astype(np.uint16),
    "of signed bytes": (images() // 2).astype(np.int8),
    "of bool": images() > 0,
    "of big-endian numbers": images().astype(">f4"),
    "of an odd width": images(inputs=41),
    "one input wide": images(inputs=41)[:, 20:21].copy(),
    "dense": np.random.default_rng(0).integers(1, 256, (57, 40)).astype(np.uint8),
}


@pytest.mark.parametrize("what", LEFT_ALONE)
def test_other_samples_are_left_as_they_are(what):
    x = LEFT_ALONE[what]
    made = batches(x, scale=0.5)
    assert made.order is None
    assert made.unused == 0
    assert made.samples is x
    for chosen in (np.arange(10), np.arange(56, 50, -1), np.array([4])):
        _, _, first = assert_takes(made, x, chosen, 0.5)
        assert first == 0


def test_samples_that_are_used_in_every_batch_are_not_dense_by_themselves():
    x = images()
    x[::ROWS] = 255  # one sample of each batch has them all
    assert batches(x).order is None
    assert batches(x, rows=5).order is not None


LAYOUTS = {
    "by rows": lambda x: x,
    "by columns": np.asfortranarray,
    "every other input": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "every other sample": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "at an odd address": lambda x: np.frombuffer(b"0" + x.tobytes(), x.dtype, offset=1).reshape(
        x.shape
    ),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_batch_copies_all_samples_however_they_lie(layout, dtype):
    x = LAYOUTS[layout](images(2000).astype(dtype))
    made = batches(x, dtype=np.float32)
    assert_takes(made, x, np.arange(10))
    tracemalloc.start()
    made.take(np.arange(10))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 4


@pytest.mark.parametrize("rows", [1, 100])
def test_to_arrange_takes_no_memory_for_each_batch(rows):
    x = images(20_000)
    tracemalloc.start()
    made = Batches(x, np.zeros((len(x), 1)), rows, FLOAT64, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    kept = made.samples.nbytes + made.targets.nbytes
    assert kept < peak < 1.2 * kept


def test_arranged_bytes_cannot_be_changed_from_outside():
    x = images()
    made, before = batches(x), x.copy()
    x[...] = 1
    assert_takes(made, before, np.arange(10))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_reads_a_memory_map(dtype, tmp_path):
    x = images().astype(dtype)
    np.save(tmp_path / "x.npy", x)
    made = batches(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert (made.order is None) == (dtype == np.float32)
    assert_takes(made, x, np.arange(10))


def test_targets_of_any_dtype_and_layout():
    x, rng = images(), np.random.default_rng(2)
    for t in (rng.random((57, 1)), rng.integers(0, 2, (57, 4)), np.asfortranarray(np.eye(57))):
        made = Batches(x, t, ROWS, np.dtype(np.float32), 1.0)
        _, taken, _ = made.take(np.array([5, 0, 56]))
        np.testing.assert_array_equal(taken, t[[5, 0, 56]].astype(np.float32))


def test_weights_are_arranged_as_the_inputs_for_as_long_as_it_lasts():
    x, W = images(), np.random.default_rng(3).normal(size=(40, 6))
    made, before = batches(x), W.copy()
    with made.arranging(W):
        np.testing.assert_array_equal(W, before[made.order])
        x1, _, first = made.take(np.arange(10))
        np.testing.assert_allclose(x1[:, :-1] @ W[first:], x[:10] @ before, rtol=1e-12)
        W += np.arange(40)[:, None]
    expected = before.copy()
    expected[made.order] += np.arange(40)[:, None]
    np.testing.assert_array_equal(W, expected)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_weights_come_back_in_order_whatever_happens(error):
    W = np.random.default_rng(3).normal(size=(40, 6))
    before = W.copy()

    def work():
        with batches(images()).arranging(W):
            assert (before != W).any()
            raise error

    with pytest.raises(error):
        work()
    np.testing.assert_array_equal(W, before)


def test_weights_of_what_is_not_arranged_stay():
    W = np.random.default_rng(3).normal(size=(40, 6))
    before = W.copy()
    with batches(images() / 255).arranging(W):
        np.testing.assert_array_equal(W, before)
        W += 1
    np.testing.assert_array_equal(W, before + 1)
