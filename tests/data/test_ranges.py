import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data import ranges


@pytest.mark.parametrize("bits", [8, 16])
def test_every_stored_value_survives_the_round_trip(bits):
    stored = np.arange(2**bits, dtype=ranges.DTYPES[bits])
    x = ranges.to_float(stored)
    assert x.dtype == np.float32
    assert (x[0], x[-1]) == (-1, 1)  # exact, or a clip would change them
    np.testing.assert_allclose(x, 2.0 * stored / (2**bits - 1) - 1, atol=1e-7)
    np.testing.assert_array_equal(ranges.to_uint(x, bits), stored)


@pytest.mark.parametrize("bits", [8, 16])
def test_device_and_host_agree_to_the_bit(bits):
    stored = np.arange(2**bits, dtype=ranges.DTYPES[bits])
    np.testing.assert_array_equal(jax.jit(ranges.to_float)(jnp.asarray(stored)), ranges.to_float(stored))
    x = jnp.asarray(ranges.to_float(stored))
    np.testing.assert_array_equal(jax.jit(ranges.to_uint, static_argnums=1)(x, bits), stored)


def test_values_outside_are_clipped_and_ties_rounded():
    np.testing.assert_array_equal(ranges.to_uint(np.float32([-3, -1, 0.001, 1, 7])), [0, 0, 128, 255, 255])


def test_what_is_no_stored_image_is_refused():
    with pytest.raises(TypeError, match="uint8 or uint16"):
        ranges.to_float(np.zeros(3, np.int32))
    with pytest.raises(ValueError, match="NaN"):
        ranges.to_uint(np.float32([0, np.nan]))
