"""Masking (RFC 6455, section 5.3): XOR with a four-byte key.

The ``speedups`` extra installs the *websockets* library, whose C function is used; the fallback uses Python's big
integers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

__all__ = ["apply_mask", "apply_mask_python"]


def apply_mask_python(data: bytes, mask: bytes) -> bytes:
    """Return ``data`` XOR the repeated ``mask``; masking and unmasking are the same."""
    length = len(data)
    keystream = mask * (length // 4) + mask[: length % 4]
    number = int.from_bytes(data, sys.byteorder) ^ int.from_bytes(keystream, sys.byteorder)
    return number.to_bytes(length, sys.byteorder)


apply_mask: Callable[[bytes, bytes], bytes]
try:
    from websockets.speedups import apply_mask as apply_mask
except ImportError:
    apply_mask = apply_mask_python
