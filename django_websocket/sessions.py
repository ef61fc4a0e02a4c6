"""Closes sockets when the session that opened them ends.

A cookie is checked once, at the handshake, and a socket may live for days. So ``serving/process/site.py`` calls
:meth:`SessionWatch.check` every ``WEBSOCKET_SESSION_CHECK_INTERVAL`` seconds: it fetches many sessions and users in
one query, and closes with 4401 the sockets whose session is gone, has expired, or belongs to a user who was deactivated
or has a new password. Querying the store, rather than listening to signals, catches changes made by other processes,
bulk updates and the database shell. A log-out closes them at once: in this process by its signal, in others by
:mod:`.groups.log_out`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from hashlib import blake2b
from importlib import import_module
from itertools import chain
from typing import Any, Protocol

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.signals import user_logged_out
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils import timezone

from .close_codes import UNAUTHORIZED
from .compat.django import is_loaded, load_session, session_saved_at
from .conf import get_setting
from .registry import SocketObserver, registry
from .valid_users import hash_matches, in_chunks, keys_of_invalid_users
from .websocket import WebSocket

__all__ = ["SessionWatch", "Watched", "session_digest", "session_watch"]

logger = logging.getLogger("django_websocket")


class Watched(Protocol):
    """A websocket, or another connection that ends with its session."""

    session_key: str | None

    @property
    def closed(self) -> bool:
        """Whether it has ended, or is about to."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End it."""


def session_digest(key: str) -> bytes:
    """What stands for a session where its key would give away too much."""
    return blake2b(key.encode(), digest_size=16).digest()


class _Session:
    """A session and the sockets it opened."""

    __slots__ = ("digest", "expires", "hash", "user_id", "verified", "websockets")

    def __init__(self, session: SessionBase, digest: bytes) -> None:
        self.websockets: set[Watched] = set()
        self.digest = digest
        self.user_id: Any = session.get(SESSION_KEY)
        self.hash: Any = session.get(HASH_SESSION_KEY)
        self.verified: tuple[Any, ...] | None = None
        self.expires = _expiry(session)

    def is_valid_for(self, user: Any) -> bool:
        """Whether the user's password is the one with which the session was opened."""
        return hash_matches(self.hash, user)


class SessionWatch(SocketObserver):
    """Watches the sessions of this process's open websockets."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._by_digest: dict[bytes, str] = {}
        self._unused: dict[Watched, SessionBase] = {}
        self.is_checked = False
        """Whether a server calls :meth:`check` at intervals."""
        self._next_check = 0.0

    def __len__(self) -> int:
        """The number of sessions being watched."""
        return len(self._sessions) + len(self._unused)

    def add(self, websocket: Watched, request: HttpRequest) -> None:
        """Tie ``websocket`` to its request's session, immediately or once the session is accessed.

        A session that was never accessed has granted nothing that could be revoked.
        """
        session: SessionBase | None = getattr(request, "session", None)
        if session is None or not session.session_key:
            return
        if is_loaded(session):
            self.tie(websocket, session)
        else:
            self._unused[websocket] = session
            self._discard_closed(websocket)

    def tie(self, websocket: Watched, session: SessionBase) -> None:
        """Have ``websocket`` end with ``session``, unless that is empty."""
        if session.is_empty() or not session.session_key:
            return
        key = session.session_key
        entry = self._sessions.get(key)
        if entry is None:
            entry = self._sessions[key] = _Session(session, session_digest(key))
            self._by_digest[entry.digest] = key
        entry.websockets.add(websocket)
        websocket.session_key = key
        self._discard_closed(websocket)

    def _discard_closed(self, websocket: Watched) -> None:
        """Discard a websocket that was closed before it was added, or while its session was being loaded."""
        if websocket.closed:
            self.discard(websocket)

    def user_id(self, websocket: Watched) -> Any:
        """The primary key, as the session has it, of the user who opened ``websocket``; None if that isn't known."""
        entry = None if websocket.session_key is None else self._sessions.get(websocket.session_key)
        return None if entry is None else entry.user_id

    def socket_closed(self, websocket: WebSocket) -> None:
        """Discard a websocket whose socket is closed."""
        self.discard(websocket)

    def discard(self, websocket: Watched) -> None:
        """Stop watching; does nothing if it isn't watched."""
        self._unused.pop(websocket, None)
        key = websocket.session_key
        entry = None if key is None else self._sessions.get(key)
        if entry is not None and key is not None:
            entry.websockets.discard(websocket)
            if not entry.websockets:
                self._forget(key)

    def _forget(self, key: str) -> _Session | None:
        entry = self._sessions.pop(key, None)
        if entry is not None:
            self._by_digest.pop(entry.digest, None)
        return entry

    def close(self, session_key: str) -> None:
        """Close the sockets of one session."""
        entry = self._forget(session_key)
        for websocket in () if entry is None else tuple(entry.websockets):
            websocket.close(UNAUTHORIZED, "session ended")

    def log_out(self, request: HttpRequest | None, **kwargs: Any) -> None:
        """Close the sockets of the session that ``request`` logs out: a receiver of ``user_logged_out``.

        Does nothing where sessions are not checked.
        """
        session: SessionBase | None = getattr(request, "session", None)
        if session is not None and session.session_key and get_setting("WEBSOCKET_SESSION_CHECK_INTERVAL"):
            self._tie_used()
            self.close(session.session_key)

    def close_digest(self, digest: bytes) -> None:
        """Close the sockets of the session that :func:`session_digest` made ``digest`` of."""
        self._tie_used()
        key = self._by_digest.get(digest)
        if key is not None:
            self.close(key)

    def _tie_used(self) -> None:
        for websocket, session in list(self._unused.items()):
            # While it is being loaded it would have to be loaded here, too, which may wait, or fail.
            if is_loaded(session) and self._unused.pop(websocket, None) is not None:
                self.tie(websocket, session)

    def check(self) -> None:
        """Close the sockets of ended sessions. Raises what the session store or the database raises."""
        self._tie_used()
        if not self._sessions:
            return
        known = dict(self._sessions)
        ended = set(known) - set(_live_keys(known))
        ended.update(keys_of_invalid_users({key: entry for key, entry in known.items() if key not in ended}))
        for key in ended:
            self.close(key)

    def check_unless_watched(self) -> None:
        """Check where no server does, as often as one would; errors are logged."""
        interval = get_setting("WEBSOCKET_SESSION_CHECK_INTERVAL")
        now = time.monotonic()
        if self.is_checked or not interval or now < self._next_check:
            return
        self._next_check = now + interval
        try:
            self.check()
        except Exception:
            logger.exception("Session check failed; will retry")


def _expiry(session: SessionBase) -> float:
    """Return when ``session`` expires, in seconds on the monotonic clock.

    A file-based session's age counts from its last save. For other stores, which don't record that, it counts from now.
    """
    try:
        saved = session_saved_at(session) or timezone.now()
        left = session.get_expiry_date(modification=saved) - timezone.now()
    except FileNotFoundError:
        return 0.0
    return time.monotonic() + left.total_seconds()


def _is_extended(key: str, entry: _Session, store: Any) -> bool:
    """Whether a session past its known expiry has been saved again since."""
    session: SessionBase = store(session_key=key)
    load_session(session)
    if session.session_key != key:
        # The file engine has removed it, as it does for a request, and created a new one.
        session.delete()
        return False
    entry.expires = _expiry(session)
    return entry.expires > time.monotonic()


def _live_keys(known: dict[str, _Session]) -> Iterator[str]:
    """Yield the keys of the sessions that are still valid."""
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    if hasattr(store, "get_model_class"):  # the database, with or without a cache in front
        model = store.get_model_class()
        now = timezone.now()
        for keys in in_chunks(known):
            yield from model._default_manager.filter(session_key__in=keys, expire_date__gt=now).values_list(
                "session_key", flat=True
            )
        return
    in_cookies = settings.SESSION_ENGINE.endswith("signed_cookies")
    store_expires = settings.SESSION_ENGINE.endswith("cache")
    for key in chain.from_iterable(in_chunks(known)):
        entry = known[key]
        if in_cookies:
            if settings.SESSION_SAVE_EVERY_REQUEST or entry.expires > time.monotonic():
                yield key
        elif store().exists(key) and (
            store_expires or entry.expires > time.monotonic() or _is_extended(key, entry, store)
        ):
            yield key


session_watch = SessionWatch()
"""The session watch of this process."""
registry.subscribe(session_watch)
user_logged_out.connect(session_watch.log_out)
