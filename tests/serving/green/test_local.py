"""The thread-local data of green and native threads, by itself."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from django_websocket.serving.green import eventlet
from django_websocket.serving.green.local import local
from tests.deadlines import deadline, wait_until


class Value:
    """Something that a weak reference can refer to."""


def in_a_greenlet(function: Callable[[], Any]) -> Any:
    with eventlet.Timeout(deadline(10)):
        return eventlet.spawn(function).wait()


def in_a_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function).result(deadline(10))


ELSEWHERE = pytest.mark.parametrize("elsewhere", [in_a_greenlet, in_a_thread])


@ELSEWHERE
def test_others_do_not_see_an_attribute(elsewhere: Callable[[Callable[[], Any]], Any]) -> None:
    data = local()
    data.name = "ours"

    def use() -> tuple[bool, dict[str, Any], dict[str, Any]]:
        has_it = hasattr(data, "name")
        before = dict(data.__dict__)
        data.name = "theirs"
        return has_it, before, dict(data.__dict__)

    assert elsewhere(use) == (False, {}, {"name": "theirs"})
    assert data.name == "ours"
    assert data.__dict__ == {"name": "ours"}


def test_each_greenlet_keeps_its_own_while_others_run() -> None:
    data = local()

    def keep(number: int) -> list[int]:
        data.number = number
        seen = []
        for _ in range(3):
            eventlet.sleep(0)
            seen.append(data.number)
        return seen

    greenlets = [eventlet.spawn(keep, number) for number in range(5)]
    with eventlet.Timeout(deadline(10)):
        assert [one.wait() for one in greenlets] == [[number] * 3 for number in range(5)]


@pytest.fixture
def hurried_threads() -> Iterator[None]:
    """Native threads take turns as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hurried_threads")
def test_native_threads_and_greenlets_keep_their_own_at_once() -> None:
    """With eventlet's own, a thread may get the attributes of another."""
    data = local()

    def count(number: int, pause: Callable[[float], None]) -> int:
        wrong = 0
        for turn in range(2000):
            data.value = (number, turn)
            pause(0)
            wrong += data.value != (number, turn)
        return wrong

    with ThreadPoolExecutor(4) as threads:
        native = [threads.submit(count, number, lambda _: None) for number in range(4)]
        green = [eventlet.spawn(count, number, eventlet.sleep) for number in range(4, 8)]
        with eventlet.Timeout(deadline(60)):
            assert [one.wait() for one in green] == [0] * 4
        assert [one.result(deadline(60)) for one in native] == [0] * 4


@ELSEWHERE
def test_attributes_are_released_at_the_end(elsewhere: Callable[[Callable[[], Any]], Any]) -> None:
    data = local()

    def use() -> weakref.ref[Value]:
        data.value = Value()
        return weakref.ref(data.value)

    reference = elsewhere(use)

    def is_released() -> bool:
        gc.collect()
        return reference() is None

    # Greenlet disposes of a native thread's greenlet later, in the main thread.
    wait_until(is_released, 10, "the release of the attributes")


def test_a_subclass_is_initialized_in_each_greenlet() -> None:
    class Data(local):
        def __init__(self, value: int) -> None:
            self.values = [value]

    data = Data(1)
    data.values.append(2)
    assert in_a_greenlet(lambda: data.values) == [1]
    assert data.values == [1, 2]


def test_attributes_are_released_with_it() -> None:
    data = local()
    data.value = Value()
    reference = weakref.ref(data.value)
    del data
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("make", [threading.local, local])
class TestAsTheStandardLibrary:
    """Each test runs with the original class as well, which says what is right."""

    def test_attributes(self, make: type[Any]) -> None:
        data = make()
        data.name = 1
        assert data.name == 1
        del data.name
        for use in (lambda: data.name, lambda: delattr(data, "name")):
            with pytest.raises(AttributeError, match="name"):
                use()
        assert getattr(data, "name", "default") == "default"

    def test_its_dictionary(self, make: type[Any]) -> None:
        data = make()
        data.__dict__["name"] = 1
        assert data.name == 1
        assert data.__dict__ == {"name": 1}
        with pytest.raises(AttributeError, match="read-only"):
            data.__dict__ = {}
        with pytest.raises(AttributeError):
            del data.__dict__

    def test_it_takes_no_arguments(self, make: type[Any]) -> None:
        with pytest.raises(TypeError):
            make(1)
        with pytest.raises(TypeError):
            make(name=1)

    def test_a_subclass_is_initialized_once_in_each_thread(self, make: type[Any]) -> None:
        calls = []

        class Data(make):  # type: ignore[misc]  # the base class is only known at run time
            def __init__(self, value: int, *, name: str) -> None:
                calls.append((value, name))
                self.values = [value]

        data = Data(1, name="a")
        data.values.append(2)
        assert in_a_thread(lambda: [data.values, data.values]) == [[1], [1]]
        assert data.values == [1, 2]
        assert calls == [(1, "a")] * 2

    def test_a_subclass_with_attributes_of_its_own(self, make: type[Any]) -> None:
        class Data(make):  # type: ignore[misc]  # the base class is only known at run time
            default = "of the class"

            def method(self) -> str:
                return f"method of {self.default}"

        data = Data()
        assert data.method() == "method of of the class"
        data.default = "ours"
        assert data.method() == "method of ours"
        assert in_a_thread(lambda: data.default) == "of the class"
        del data.default
        assert data.default == "of the class"

    def test_a_property_takes_precedence(self, make: type[Any]) -> None:
        class Data(make):  # type: ignore[misc]  # the base class is only known at run time
            @property
            def double(self) -> int:
                value: int = self.value * 2
                return value

            @double.setter
            def double(self, value: int) -> None:
                self.value = value // 2

            @double.deleter
            def double(self) -> None:
                del self.value

        data = Data()
        data.double = 6
        assert (data.value, data.double) == (3, 6)
        data.__dict__["double"] = "hidden"
        assert data.double == 6
        del data.double
        assert not hasattr(data, "value")

    def test_slots_are_shared(self, make: type[Any]) -> None:
        """As the documentation of _threading_local says."""

        class Data(make):  # type: ignore[misc]  # the base class is only known at run time
            __slots__ = ("shared",)

        data = Data()
        data.shared = 1
        data.own = 2
        assert in_a_thread(lambda: (data.shared, hasattr(data, "own"))) == (1, False)
