"""Groups over Redis or Valkey, for several processes and machines.

:class:`.backend.RedisBackend` publishes and reads histories; :mod:`.lines` receive; :mod:`.presence` tells who is
there; :mod:`.scripts` is what runs in Redis; :mod:`.clients` makes connections by redis-py.
"""

from __future__ import annotations

from .backend import RedisBackend

__all__ = ["RedisBackend"]
