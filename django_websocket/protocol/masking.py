"""Masking, RFC 6455, section 5.3: XOR with a key of four bytes.

The ``speedups`` extra brings the C function of the *websockets* library; without it, Python's big integers do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

__all__ = ["apply_mask", "apply_mask_python"]


def apply_mask_python(data: bytes, mask: bytes) -> bytes:
    """``data`` XOR ``mask`` repeated; masking and unmasking are the same."""
    length = len(data)
    keystream = mask * (length // 4) + mask[: length % 4]
    number = int.from_bytes(data, sys.byteorder) ^ int.from_bytes(keystream, sys.byteorder)
    return number.to_bytes(length, sys.byteorder)


apply_mask: Callable[[bytes, bytes], bytes]
try:
    from websockets.speedups import apply_mask as apply_mask
except ImportError:
    apply_mask = apply_mask_python
