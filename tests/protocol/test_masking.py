from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_websocket.protocol import masking
from tests.conftest import missing

Mask = Callable[[bytes, bytes], bytes]

apply_mask_c: Mask | None
try:
    from websockets.speedups import apply_mask as apply_mask_c
except ImportError:
    apply_mask_c = None


@pytest.fixture(params=["python", "c"])
def apply_mask(request: pytest.FixtureRequest) -> Mask:
    if request.param == "python":
        return masking.apply_mask_python
    if apply_mask_c is None:
        missing("the C function of websockets")
    return apply_mask_c


def test_the_c_function_is_taken_where_there_is_one() -> None:
    assert masking.apply_mask is (apply_mask_c or masking.apply_mask_python)


def test_without_the_c_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    spec = importlib.util.find_spec(masking.__name__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.apply_mask is module.apply_mask_python


def test_rfc_example(apply_mask: Mask) -> None:
    """Section 5.7: a single-frame masked text message that contains "Hello"."""
    assert apply_mask(b"\x7f\x9f\x4d\x51\x58", b"\x37\xfa\x21\x3d") == b"Hello"


@pytest.mark.parametrize("length", [*range(18), 125, 126, 127, 4095, 4096, 65535, 65536, 65537])
def test_each_byte_is_masked(apply_mask: Mask, length: int) -> None:
    """Section 5.3: "octet i of the transformed data [...] is the XOR of octet i of the original data with octet at
    index i modulo 4 of the masking key"."""
    data = bytes(i * 7 % 256 for i in range(length))
    mask = b"\x01\x80\xfe\x7f"
    assert apply_mask(data, mask) == bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


@pytest.mark.parametrize("mask", [bytes(4), b"\xff" * 4, b"\x00\x00\x00\x01", b"\x80\x00\x00\x00"])
def test_masks_with_zeros_and_ones(apply_mask: Mask, mask: bytes) -> None:
    data = bytes(range(256)) + b"\x00\x00\x00"
    masked = apply_mask(data, mask)
    assert len(masked) == len(data)
    assert apply_mask(masked, mask) == data


@given(data=st.binary(max_size=300), mask=st.binary(min_size=4, max_size=4))
def test_both_agree(data: bytes, mask: bytes) -> None:
    if apply_mask_c is not None:
        assert masking.apply_mask_python(data, mask) == apply_mask_c(data, mask)
