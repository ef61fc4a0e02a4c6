"""A ticket: what it says, and the text that a client carries.

The text is signed as Django signs: base64 of JSON, the time, and an HMAC with SECRET_KEY or one of its fallbacks, all
of it characters that RFC 9110 allows in a token. A client can read it, so the key of the session that it is tied to is
encrypted in it: for scripts, which cookies hide it from, it would be as good as the cookie.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import blake2b, shake_256
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.utils.crypto import get_random_string
from django.utils.encoding import force_bytes

from ..conf import get_setting
from ..exceptions import InvalidTicket
from ..valid_users import auth_hashes

__all__ = ["Ticket", "read_ticket", "sign_ticket"]

SALT = "django_websocket.tickets"

MAX_LENGTH = 4096
"""Characters of a ticket, which usually has 200: signatures of longer ones would cost time."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the site says of a client that it has authenticated."""

    user_id: str
    """The user's primary key, as sessions have it."""
    auth: str = field(repr=False)
    """The digest of the user's session auth hash: a new password voids the ticket."""
    generation: str
    """Which of the user's tickets it is among, as :mod:`.marks` counts them: up to which revocation."""
    session_key: str = field(default="", repr=False)
    """Of the session that has authenticated the client; empty if none has."""
    nonce: str = field(default_factory=lambda: get_random_string(22), repr=False)
    """Tells it apart from all others."""

    @classmethod
    def of(cls, user: Any, generation: str, session_key: str = "") -> Ticket:
        """A new one for ``user``."""
        return cls(user._meta.pk.value_to_string(user), auth_digests(user)[0], generation, session_key)


def auth_digests(user: Any) -> list[str]:
    """What :attr:`Ticket.auth` may be for a ticket that is valid now."""
    if not hasattr(user, "get_session_auth_hash"):
        return [""]
    return [_encode(blake2b(one.encode(), digest_size=16).digest()) for one in auth_hashes(user)]


def sign_ticket(ticket: Ticket) -> str:
    """The text that the client gets."""
    session = _encode(_crypt(ticket.session_key.encode(), ticket.nonce, settings.SECRET_KEY))
    fields = [ticket.user_id, ticket.auth, ticket.generation, session, ticket.nonce]
    return _signer(settings.SECRET_KEY).sign_object(fields)


def read_ticket(text: str) -> Ticket:
    """The reverse. Raises :exc:`.InvalidTicket` if it is not one of ours, or is too old."""
    if len(text) > MAX_LENGTH:
        raise InvalidTicket("the ticket is not valid")
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            fields = _signer(key).unsign_object(text, max_age=get_setting("WEBSOCKET_TICKET_AGE"))
        except SignatureExpired:
            raise InvalidTicket("the ticket has expired") from None
        except BadSignature:
            continue
        user_id, auth, generation, session, nonce = fields
        return Ticket(user_id, auth, generation, _crypt(_decode(session), nonce, key).decode(), nonce)
    raise InvalidTicket("the ticket is not valid")


def _signer(key: Any) -> TimestampSigner:
    # Not ":", which no token has.
    return TimestampSigner(key=key, sep=".", salt=SALT, fallback_keys=[])


def _crypt(data: bytes, nonce: str, key: Any) -> bytes:
    """Encrypt or decrypt, by a stream of bytes that nobody can tell from random without the key; each is used once."""
    stream = shake_256(b"|".join((force_bytes(key), SALT.encode(), nonce.encode()))).digest(len(data))
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
