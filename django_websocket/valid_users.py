"""Finds out whose right to a websocket has ended: who was deleted or deactivated, or has another password."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol, TypeVar

from django.apps import apps
from django.core.exceptions import ValidationError
from django.utils.crypto import constant_time_compare

__all__ = ["CHUNK", "Holder", "auth_hashes", "hash_matches", "in_chunks", "keys_of_invalid_users"]

CHUNK = 250
"""Sessions or users per query; other greenlets may run between chunks."""

Key = TypeVar("Key", bound=Hashable)


class Holder(Protocol):
    """What a user has been let in with: a session, or a ticket."""

    verified: tuple[Any, ...] | None
    """The user's columns with which it was found valid; None until then."""

    @property
    def user_id(self) -> Any:
        """The user's primary key, or the text that stands for it; None if it is nobody's."""

    def is_valid_for(self, user: Any) -> bool:
        """Whether it goes with the user's present password."""


def in_chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield lists of :data:`CHUNK` of them."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
        time.sleep(0)  # on a patched server, lets other greenlets run


def keys_of_invalid_users(holders: Mapping[Key, Holder]) -> Iterator[Key]:
    """Yield the keys of those that ``django.contrib.auth.get_user`` would no longer accept for their user."""
    if not apps.is_installed("django.contrib.auth"):
        return
    from django.contrib.auth import get_user_model
    from django.contrib.auth.base_user import AbstractBaseUser

    model: Any = get_user_model()
    by_user: dict[Any, list[Key]] = {}
    for key, holder in holders.items():
        if holder.user_id is None:
            continue
        try:
            user_id = model._meta.pk.to_python(holder.user_id)
        except ValidationError:  # the model has changed since
            yield key
        else:
            by_user.setdefault(user_id, []).append(key)
    names = {field.name for field in model._meta.concrete_fields}
    # The answer is unchanged while these columns are; a method or property of the project's may depend on anything.
    columns = [name for name in ("password", "is_active") if name in names]
    default = AbstractBaseUser.get_session_auth_hash
    depends_on_columns = getattr(model, "get_session_auth_hash", default) is default and (
        "is_active" in names or getattr(model, "is_active", True) is True
    )
    for ids in in_chunks(by_user):
        rows = {row[0]: row[1:] for row in model._base_manager.filter(pk__in=ids).values_list("pk", *columns)}
        suspects = []
        for user_id in ids:
            for key in by_user[user_id]:
                if user_id not in rows:
                    yield key
                elif not depends_on_columns or holders[key].verified != rows[user_id]:
                    suspects.append(key)
        if not suspects:
            continue
        users = model._base_manager.in_bulk({model._meta.pk.to_python(holders[key].user_id) for key in suspects})
        for key in suspects:
            user = users.get(model._meta.pk.to_python(holders[key].user_id))
            if user is None or not getattr(user, "is_active", True) or not holders[key].is_valid_for(user):
                yield key
            else:
                holders[key].verified = rows[user.pk]


def hash_matches(session_hash: str | None, user: Any) -> bool:
    """Whether ``session_hash``, of a session, goes with the user's password."""
    if not hasattr(user, "get_session_auth_hash"):
        return True
    if not session_hash:
        return False
    return any(constant_time_compare(session_hash, one) for one in auth_hashes(user))


def auth_hashes(user: Any) -> list[str]:
    """The user's session auth hashes: with SECRET_KEY, and with each of SECRET_KEY_FALLBACKS."""
    return [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
