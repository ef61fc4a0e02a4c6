from __future__ import annotations

import pytest

from django_websocket.memo import Memo
from django_websocket.serving.http.environ import _variables


def test_short_arguments_are_computed_once_and_long_ones_each_time() -> None:
    calls: list[str] = []

    def double(text: str) -> str:
        calls.append(text)
        return text * 2

    memo = Memo(double, entries=2, length=3)
    assert [memo["abc"], memo["abc"], memo["abcd"], memo["abcd"]] == ["abcabc"] * 2 + ["abcdabcd"] * 2
    assert calls == ["abc", "abcd", "abcd"]
    for text in ("a", "b", "c"):
        assert memo[text] == text * 2
        assert len(memo) <= 2


def test_errors_are_raised_each_time() -> None:
    def fail(text: str) -> str:
        raise ValueError(text)

    memo = Memo(fail, entries=2, length=3)
    for _ in range(2):
        with pytest.raises(ValueError, match="a"):
            memo["a"]
    assert not memo


def test_header_names_do_not_fill_the_memory() -> None:
    before = dict(_variables)
    for number in range(100):
        name = b"x-%d-" % number + b"y" * 60_000
        assert _variables[name] == "HTTP_" + name.decode().upper().replace("-", "_")
    assert _variables == before
