"""Django's password hashers, in native threads where there are green ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from django.contrib.auth import hashers

from django_websocket.compat.hashers import SLOW_HASHERS, hash_by
from tests.conftest import ROOT
from tests.deadlines import deadline


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """The calls that are made elsewhere; in the end the classes are as they were."""
    before = {hasher: {name: vars(hasher).get(name) for name in ("encode", "verify")} for hasher in SLOW_HASHERS}
    made: list[str] = []

    def run(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        made.append(function.__qualname__)
        return function(*args, **kwargs)

    for hasher in SLOW_HASHERS:
        for name in ("encode", "verify"):
            method = vars(hasher).get(name)
            if method is not None:
                setattr(hasher, name, getattr(method, "__wrapped__", method))
    hash_by(run)
    hash_by(run)
    yield made
    for hasher, methods in before.items():
        for name, method in methods.items():
            if method is not None:
                setattr(hasher, name, method)


@pytest.mark.parametrize("algorithm", ["pbkdf2_sha256", "pbkdf2_sha1", "scrypt"])
def test_hashing_is_done_elsewhere(algorithm: str, calls: list[str], settings: Any) -> None:
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
        "django.contrib.auth.hashers.ScryptPasswordHasher",
    ]
    encoded = hashers.make_password("secret", hasher=algorithm)
    assert len(calls) == 1
    calls.clear()
    assert hashers.check_password("secret", encoded)
    assert not hashers.check_password("wrong", encoded)
    assert calls


def test_all_that_django_has_are_known() -> None:
    """MD5 is quick, and there for tests only."""
    own = {
        hasher
        for hasher in vars(hashers).values()
        if isinstance(hasher, type) and issubclass(hasher, hashers.BasePasswordHasher)
    }
    slow = {hasher for hasher in own if issubclass(hasher, SLOW_HASHERS)}
    assert own - slow == {hashers.BasePasswordHasher, hashers.MD5PasswordHasher}


SERVED = """
from django_websocket.serving.patch import eventlet, patch
patch()
import django
from django.conf import settings
settings.configure()
django.setup()
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django_websocket.compat.hashers import hash_by
from django_websocket.serving.green import native
hash_by(native.run)
hashing = eventlet.spawn(PBKDF2PasswordHasher().encode, "secret", "salt", 2_000_000)
turns = 0
while not hashing.dead:
    eventlet.sleep(0)
    turns += 1
assert turns > 10, turns
expected = PBKDF2PasswordHasher.encode.__wrapped__(PBKDF2PasswordHasher(), "secret", "salt", 2_000_000)
assert hashing.wait() == expected
"""


def test_others_run_meanwhile() -> None:
    subprocess.run([sys.executable, "-c", SERVED], cwd=ROOT, check=True, timeout=deadline(60))
