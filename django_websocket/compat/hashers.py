"""Django's password hashers, which take a quarter of a second on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from django.contrib.auth import hashers

__all__ = ["SLOW_HASHERS", "hash_by"]

Run = Callable[[Callable[..., Any], Sequence[Any], Mapping[str, Any]], Any]

SLOW_HASHERS: tuple[type[hashers.BasePasswordHasher], ...] = (
    hashers.PBKDF2PasswordHasher,
    hashers.Argon2PasswordHasher,
    hashers.BCryptSHA256PasswordHasher,
    hashers.ScryptPasswordHasher,
)
"""Those whose libraries release the GIL while they compute. Hashers of a project's own usually inherit from them."""


def hash_by(run: Run) -> None:
    """Have ``run(function, args, kwargs)`` do the hashing from now on; calling it again does nothing."""
    for hasher in SLOW_HASHERS:
        for name in ("encode", "verify"):
            method = vars(hasher).get(name)
            if method is not None and not hasattr(method, "__wrapped__"):
                setattr(hasher, name, _made_by(run, method))


def _made_by(run: Run, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return run(method, args, kwargs)

    return call
