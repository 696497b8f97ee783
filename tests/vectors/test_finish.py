import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nearfield_server.errors import BackendFailure
from nearfield_server.types import DType, Quantization, SimilarityMetric
from nearfield_server.vectors.finish import finish, unit_rows
from nearfield_server.vectors.quantize import dequantize, int8_scale, quantize
from nearfield_server.vectors.similarity import similarity

ROWS = arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(1, 40)), elements=st.floats(-(2.0**100), 2.0**100, width=32)
)


def finished(rows, dimensions=None, *, normalize=True, dtype=DType.FLOAT32, quantization_range=0.5):
    return finish(
        np.asarray(rows, np.float32),
        dimensions=dimensions or np.shape(rows)[1],
        normalize=normalize,
        dtype=dtype,
        quantization_range=quantization_range,
    )


@settings(deadline=None)
@given(rows=ROWS, data=st.data())
def test_cut_rows_have_unit_length_and_the_same_direction(rows, data):
    width = data.draw(st.integers(1, rows.shape[1]))
    assume((rows[:, :width] != 0).any(axis=1).all())
    found, quantization = finished(rows, width)
    assert quantization is None
    assert np.allclose(np.linalg.norm(found.astype(np.float64), axis=1), 1, atol=1e-6)
    wide = rows[:, :width].astype(np.float64)
    assert np.allclose(found, wide / np.linalg.norm(wide, axis=1, keepdims=True), atol=1e-6)


def test_lengths_over_and_under_the_range_of_float32():
    huge, tiny = finished([[3e38, 3e38], [1e-45, 0.0]])[0]
    assert huge == pytest.approx([0.5**0.5] * 2)
    assert tiny.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("normalize", [True, False])
def test_rows_that_are_not_finite_are_refused_even_where_they_are_cut(bad, normalize):
    rows = np.ones((4, 3), np.float32)
    rows[2, 2] = bad
    with pytest.raises(BackendFailure, match=r"inputs\[2\] is not finite") as caught:
        finished(rows, 2, normalize=normalize)
    assert caught.value.metadata == {"index": "2"}


def test_rows_of_zeros_have_no_direction():
    with pytest.raises(BackendFailure, match=r"inputs\[1\] has no length"):
        finished([[1.0, 0.0], [0.0, 5.0]], 1)
    assert finished([[0.0, 0.0]], normalize=False)[0].tolist() == [[0.0, 0.0]]


def test_raw_rows_are_only_cut():
    assert finished([[3.0, 4.0, 5.0]], 2, normalize=False)[0].tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize("dtype", [DType.INT8, DType.UINT8])
@given(rows=arrays(np.float32, (3, 24), elements=st.floats(-1, 1, width=32)), width=st.sampled_from([24, 8, 3]))
def test_integers_are_within_half_a_step_or_clipped(dtype, rows, width):
    assume((np.abs(rows[:, :width]).max(axis=1) > 1e-3).all())
    exact, _ = finished(rows, width)
    found, quantization = finished(rows, width, dtype=dtype)
    assert quantization == Quantization(int8_scale(0.5, 24, width), 0 if dtype is DType.INT8 else 128)
    signed = found.astype(int) - quantization.zero_point
    assert -127 <= signed.min() <= signed.max() <= 127
    reach = 127 * quantization.scale
    error = np.abs(dequantize(found, quantization) - np.clip(exact, -reach, reach))
    assert error.max() <= quantization.scale / 2 * 1.001


def test_the_range_widens_as_vectors_are_cut_but_never_beyond_one():
    assert int8_scale(0.25, 384, 384) * 127 == pytest.approx(0.25)
    assert int8_scale(0.25, 384, 96) * 127 == pytest.approx(0.5)
    assert int8_scale(0.25, 384, 1) * 127 == pytest.approx(1.0)


@given(rows=arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 20)), elements=st.floats(-1, 1, width=32)))
def test_bits_are_signs_first_one_highest(rows):
    unsigned, _ = quantize(rows, DType.UBINARY, 1.0)
    signed, _ = quantize(rows, DType.BINARY, 1.0)
    assert unsigned.shape == (len(rows), -(-rows.shape[1] // 8))
    for row, packed in zip(rows, unsigned, strict=True):
        bits = "".join("1" if one > 0 else "0" for one in row).ljust(8 * len(packed), "0")
        assert [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)] == packed.tolist()
    assert (signed.dtype, unsigned.dtype) == (np.int8, np.uint8)
    assert np.array_equal(signed.astype(int) + 128, unsigned)


def test_half_floats_are_rounded_to_nearest():
    assert quantize(np.array([[0.1]], np.float32), DType.FLOAT16, 1.0)[0][0, 0] == np.float16(0.1)


LEFT = np.array([[3.0, 4.0], [0.0, 2.0]], np.float32)
RIGHT = np.array([[4.0, 3.0], [-3.0, -4.0], [3.0, 4.0]], np.float32)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (SimilarityMetric.COSINE, [[0.96, -1, 1], [0.6, -0.8, 0.8]]),
        (SimilarityMetric.DOT, [[24, -25, 25], [6, -8, 8]]),
        (SimilarityMetric.EUCLIDEAN, [[-(2**0.5), -10, 0], [-(17**0.5), -(45**0.5), -(13**0.5)]]),
    ],
)
def test_metrics(metric, expected):
    scores = similarity(LEFT, RIGHT, metric)
    assert scores.dtype == np.float32
    assert scores == pytest.approx(np.array(expected), abs=1e-6)


def test_cosine_stays_within_one_and_needs_length():
    rows = unit_rows(np.random.default_rng(0).standard_normal((50, 384)).astype(np.float32))
    assert np.abs(similarity(rows, rows, SimilarityMetric.COSINE)).max() <= 1.0
    with pytest.raises(BackendFailure):
        similarity(LEFT, np.zeros((1, 2), np.float32), SimilarityMetric.COSINE)
