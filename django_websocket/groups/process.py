"""A name for this process that no other has, on any machine."""

from __future__ import annotations

import os
import secrets

__all__ = ["process_id"]

_id = ""


def process_id() -> str:
    """The same for the life of the process; a forked child has its own."""
    global _id
    if not _id:
        _id = secrets.token_hex(8)
    return _id


def _forget() -> None:
    global _id
    _id = ""


os.register_at_fork(after_in_child=_forget)
