from __future__ import annotations

import pytest

from django_websocket.memo import memoize_short
from django_websocket.serving.http.environ import _variable


def test_short_arguments_are_computed_once_and_long_ones_each_time() -> None:
    calls: list[str] = []

    @memoize_short(entries=2, length=3)
    def double(text: str) -> str:
        calls.append(text)
        return text * 2

    assert [double("abc"), double("abc"), double("abcd"), double("abcd")] == ["abcabc"] * 2 + ["abcdabcd"] * 2
    assert calls == ["abc", "abcd", "abcd"]
    assert double("a") == "aa"
    assert double("b") == "bb"
    double("abc")
    assert calls.count("abc") == 2, "only the latest two are kept"


def test_errors_are_raised_each_time() -> None:
    @memoize_short(entries=2, length=3)
    def fail(text: str) -> str:
        raise ValueError(text)

    for _ in range(2):
        with pytest.raises(ValueError, match="a"):
            fail("a")


def test_header_names_do_not_fill_the_memory() -> None:
    before = _variable.cache_info().currsize  # type: ignore[attr-defined]
    for number in range(100):
        name = b"x-%d-" % number + b"y" * 60_000
        assert _variable(name) == "HTTP_" + name.decode().upper().replace("-", "_")
    assert _variable.cache_info().currsize == before  # type: ignore[attr-defined]
