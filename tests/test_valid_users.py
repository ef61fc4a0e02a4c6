"""Users of models other than Django's own; :mod:`tests.test_sessions` has that one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, models

from django_websocket.valid_users import hash_matches, keys_of_invalid_users


class Member(AbstractBaseUser):
    """Whether one is active is no column."""

    has_left = models.BooleanField(default=False)

    class Meta:
        app_label = "members"

    @property
    def is_active(self) -> bool:  # type: ignore[override]  # as a project may
        return not self.has_left


class Guest(models.Model):
    """Has no password, and so none of the methods that Django's base class brings along."""

    class Meta:
        app_label = "members"


class Holder:
    """What a user was let in with."""

    def __init__(self, user: Any) -> None:
        self.user_id = str(user.pk)
        self.verified: tuple[Any, ...] | None = None
        self._hash = user.get_session_auth_hash() if isinstance(user, AbstractBaseUser) else None

    def is_valid_for(self, user: Any) -> bool:
        return hash_matches(self._hash, user)


@pytest.fixture(params=[Member, Guest])
def model(
    request: pytest.FixtureRequest, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[type[models.Model]]:
    made: type[models.Model] = request.param
    with connection.schema_editor() as editor:
        editor.create_model(made)
    monkeypatch.setattr("django.contrib.auth.get_user_model", lambda: made)
    yield made
    with connection.schema_editor() as editor:
        editor.delete_model(made)


def test_who_is_deleted(model: Any) -> None:
    stays, goes = (model.objects.create() for _ in range(2))
    holders = {"stays": Holder(stays), "goes": Holder(goes)}
    assert list(keys_of_invalid_users(holders)) == []
    goes.delete()
    assert list(keys_of_invalid_users(holders)) == ["goes"]


@pytest.mark.parametrize("model", [Member], indirect=True)
def test_whose_activity_is_no_column(model: Any) -> None:
    stays, goes = (model.objects.create() for _ in range(2))
    holders = {"stays": Holder(stays), "goes": Holder(goes)}
    assert list(keys_of_invalid_users(holders)) == []
    model.objects.filter(pk=goes.pk).update(has_left=True)
    assert list(keys_of_invalid_users(holders)) == ["goes"]
