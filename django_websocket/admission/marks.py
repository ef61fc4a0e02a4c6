"""What all processes must know of tickets: which have been used, and up to which ones a user's are revoked.

It is in Django's default cache. A mark that the cache loses makes nothing invalid: it is only needed for as long as a
ticket may open a websocket, and until each process has looked for it once.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from django.core.cache import cache
from django.utils.crypto import get_random_string

from ..conf import get_setting
from ..valid_users import in_chunks

__all__ = ["begin_generation", "current_generation", "current_generations", "is_revoked", "use_up"]

PREFIX = "django_websocket.tickets"

KEPT_SECONDS = 24 * 3600.0
"""Far longer than a ticket is valid: a process that can't reach the cache or the database looks again later."""


def current_generation(user_id: str) -> str:
    """What a new ticket of the user belongs to; "" if none were revoked of late. Raises what the cache raises."""
    return str(cache.get(_key(user_id), ""))


def begin_generation(user_id: str) -> str:
    """Revoke the user's tickets so far; return what new ones belong to."""
    # No time: clocks of several machines differ.
    generation = get_random_string(12)
    cache.set(_key(user_id), generation, KEPT_SECONDS)
    return generation


def is_revoked(generation: str, current: str) -> bool:
    """Whether a ticket's ``generation`` is not the current one, as far as that is known."""
    return current not in ("", generation)


def current_generations(user_ids: Iterable[str]) -> dict[str, str]:
    """Those of all ``user_ids`` that have any, in few round trips."""
    found: dict[str, str] = {}
    for some in in_chunks(user_ids):
        keys = {_key(user_id): user_id for user_id in some}
        found.update((keys[key], str(value)) for key, value in cache.get_many(keys).items())
    return found


def use_up(nonce: str) -> bool:
    """Mark the ticket as used; whether it had not been before."""
    # Twice as long, as the clock of the machine that issued it may be ahead.
    return bool(cache.add(f"{PREFIX}.used.{nonce}", 1, 2 * get_setting("WEBSOCKET_TICKET_AGE")))


def _key(user_id: str) -> str:
    # A primary key may have characters that memcached doesn't take.
    return f"{PREFIX}.generation.{blake2b(user_id.encode(), digest_size=16).hexdigest()}"
