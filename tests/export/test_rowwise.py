import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny import tiny_weights

from nearfield_server.export import forward
from nearfield_server.export.graph import Site
from nearfield_server.export.rowwise import quantize_columns, quantize_rows, smoothing_factors

MATRICES = arrays(np.float32, (7, 5), elements=st.floats(-100, 100, width=32))


@settings(max_examples=50, deadline=None)
@given(weight=MATRICES)
def test_columns_are_within_half_a_step(weight):
    values, scales = quantize_columns(weight)
    assert values.min() >= -127
    assert (np.abs(values * scales - weight) <= scales * 0.5001).all()


def test_a_column_of_zeros_stays_zero():
    values, scales = quantize_columns(np.zeros((3, 2), np.float32))
    assert not values.any()
    assert np.isfinite(scales).all()
    assert (scales > 0).all()


def test_rows_have_a_scale_each():
    table = np.array([[1, -2], [100, 50]], np.float32)
    values, scales = quantize_rows(table)
    np.testing.assert_array_equal(values, [[64, -127], [127, 64]])
    np.testing.assert_allclose(scales, [2 / 127, 100 / 127], rtol=1e-6)


def test_smoothing_serves_the_inputs_that_come_from_layer_norms():
    weights = tiny_weights()
    factors = smoothing_factors(weights, forward.channel_peaks(weights, [[1, 2, 3], [4, 5]]))
    assert set(factors) == {Site(layer, place) for layer in range(2) for place in ("qkv", "ffn_in")}
    outliers, rest = factors[Site(1, "qkv")][:2], factors[Site(1, "qkv")][2:]
    assert outliers.min() > np.median(rest) * 2
