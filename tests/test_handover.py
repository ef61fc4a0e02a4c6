"""The hand-over on a real hub, which is where a greenlet's parent changes under one's feet. Nothing is patched."""

from __future__ import annotations

import contextvars
import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import greenlet
import pytest

from django_websocket.handover import ACCEPTED, Handover, State
from django_websocket.serving.patch import eventlet
from tests.deadlines import deadline

hubs = eventlet.hubs


class Run:
    """A view's run, and what became of it."""

    def __init__(self, view: Callable[[Run], Any]) -> None:
        self.steps: list[Any] = []
        self.ends: list[tuple[Any, BaseException | None]] = []
        self.ended = eventlet.Event()
        self.handover = Handover(lambda: view(self), self._on_end)

    def _on_end(self, result: Any, error: BaseException | None) -> None:
        self.ends.append((result, error))
        self.ended.send()

    def state(self) -> State:
        return self.handover.state

    def accept(self) -> None:
        self.handover.accept()

    def on_hub(self, method: Callable[..., None], *args: Any) -> None:
        """Call ``method`` where the server does."""
        hubs.get_hub().schedule_call_global(0, method, *args)

    def wait_ended(self) -> None:
        with eventlet.Timeout(deadline(5)):
            self.ended.wait()


def block() -> None:
    """Block on the hub, which makes it the caller's parent."""
    eventlet.sleep(0)


def spawn(function: Callable[[], Any]) -> Any:
    return eventlet.spawn(function)


def within_deadline(thread: Any) -> Any:
    with eventlet.Timeout(deadline(5)):
        return thread.wait()


def count_greenlets() -> int:
    gc.collect()
    return sum(isinstance(one, greenlet.greenlet) and not one.dead for one in gc.get_objects())


@pytest.fixture(scope="module", autouse=True)
def quick_garbage_collector() -> Iterator[None]:
    """What was there before is not looked at, so that every test can afford to collect garbage."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def sound_hub(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No exception reaches the hub, which would print it; and no greenlet, timer or context is left behind."""
    hub = hubs.get_hub()
    block()
    before = count_greenlets()
    yield
    block()
    block()
    assert hubs.get_hub() is hub
    assert hub.running
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert count_greenlets() <= before


# An outcome without an accept


@pytest.mark.parametrize("blocks", [False, True])
def test_result_of_a_view_that_does_not_accept(blocks: bool) -> None:
    def view(run: Run) -> str:
        if blocks:
            block()
        return "response"

    run = Run(view)
    assert run.handover.start() == "response"
    assert run.state() is State.ENDED
    assert run.ends == []


def test_what_has_answered_without_an_accept_goes_at_once() -> None:
    """The end's callback refers to whoever holds the hand-over; such a cycle would wait for the collector."""
    run = Run(lambda run: "response")
    run.handover.start()
    reference = weakref.ref(run)
    gc.disable()
    try:
        del run
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, greenlet.GreenletExit])
def test_exception_of_a_view_that_does_not_accept(blocks: bool, kind: type[BaseException]) -> None:
    error = kind("on purpose")

    def view(run: Run) -> None:
        if blocks:
            block()
        raise error

    run = Run(view)
    with pytest.raises(kind) as caught:
        run.handover.start()
    assert caught.value is error
    assert run.state() is State.ENDED
    assert run.ends == []


def test_start_returns_to_its_starter_not_to_whoever_woke_the_view() -> None:
    """The view blocks, so the hub is its parent; it is the starter that must go on, and be woken once."""
    order: list[str] = []

    def view(run: Run) -> str:
        block()
        order.append("view")
        return "response"

    def starter() -> str:
        result: str = Run(view).handover.start()
        order.append("starter")
        block()
        order.append("starter again")
        return result

    other = spawn(lambda: order.append("other"))
    assert within_deadline(spawn(starter)) == "response"
    within_deadline(other)
    assert order == ["other", "view", "starter", "starter again"]


def test_a_switch_to_an_ended_view_does_not_reach_its_starter() -> None:
    """A belated timer switches to a dead greenlet, and what is switched to then is its parent."""
    hub = hubs.get_hub()

    def view(run: Run) -> str:
        block()
        hub.schedule_call_global(0, greenlet.getcurrent().switch)
        return "response"

    def starter() -> Any:
        assert Run(view).handover.start() == "response"
        event = eventlet.Event()
        hub.schedule_call_global(0.01, event.send, "what it waits for")
        return event.wait()

    assert within_deadline(spawn(starter)) == "what it waits for"


# Accepting


@pytest.mark.parametrize("blocks", [False, True])
def test_accept_parks_the_view_until_it_is_resumed(blocks: bool) -> None:
    def view(run: Run) -> str:
        if blocks:
            block()
        run.steps.append("before")
        run.accept()
        run.steps.append("after")
        block()
        run.steps.append("end")
        return "ignored"

    run = Run(view)
    assert run.handover.start() is ACCEPTED
    assert run.state() is State.PARKED
    block()
    assert run.steps == ["before"]
    run.on_hub(run.handover.resume)
    run.wait_ended()
    assert run.steps == ["before", "after", "end"]
    assert run.ends == [("ignored", None)]
    assert run.state() is State.ENDED


def test_a_resumed_view_outlives_its_starter() -> None:
    def view(run: Run) -> None:
        run.accept()
        block()

    run = Run(view)
    starter = spawn(run.handover.start)
    assert within_deadline(starter) is ACCEPTED
    assert starter.dead
    run.on_hub(run.handover.resume)
    run.wait_ended()


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, greenlet.GreenletExit])
def test_an_exception_after_the_accept_goes_to_on_end(blocks: bool, kind: type[BaseException]) -> None:
    def view(run: Run) -> None:
        run.accept()
        if blocks:
            block()
        raise kind("on purpose")

    run = Run(view)
    assert run.handover.start() is ACCEPTED
    run.on_hub(run.handover.resume)
    run.wait_ended()
    [(result, error)] = run.ends
    assert result is None
    assert type(error) is kind


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_an_exception_of_on_end_is_logged_and_goes_no_further(
    caplog: pytest.LogCaptureFixture, kind: type[BaseException]
) -> None:
    ended: list[bool] = []

    def on_end(result: Any, error: BaseException | None) -> None:
        ended.append(True)
        raise kind("on purpose")

    handover = Handover(lambda: handover.accept(), on_end)
    assert handover.start() is ACCEPTED
    hubs.get_hub().schedule_call_global(0, handover.resume)
    with eventlet.Timeout(deadline(5)):
        while not ended:
            block()
    block()
    assert handover.state is State.ENDED
    assert [record.getMessage() for record in caplog.records] == ["Cleanup after a websocket view failed"]


def test_only_the_views_own_greenlet_accepts() -> None:
    def view(run: Run) -> str:
        def helper() -> str:
            with pytest.raises(RuntimeError, match="accepted in its view's greenlet"):
                run.accept()
            return "refused"

        run.steps.append(within_deadline(spawn(helper)))
        return "response"

    run = Run(view)
    assert run.handover.start() == "response"
    assert run.steps == ["refused"]
    with pytest.raises(RuntimeError, match="accepted in its view's greenlet"):
        run.accept()


def test_a_second_accept_is_refused() -> None:
    def view(run: Run) -> None:
        run.accept()
        with pytest.raises(RuntimeError, match="open"):
            run.accept()

    run = Run(view)
    assert run.handover.start() is ACCEPTED
    run.on_hub(run.handover.resume)
    run.wait_ended()
    assert run.ends == [(None, None)]


# A starter that is killed, or whose time is up


def kill_starter_while_it_waits(
    view: Callable[[Run], Any], kill: Callable[[Any], None] = lambda thread: thread.kill()
) -> tuple[Run, Any]:
    """Start ``view`` in a greenlet of its own and kill that once the view has set ``run.waiting``."""
    waiting = eventlet.Event()

    def watched(run: Run) -> Any:
        waiting.send()
        return view(run)

    run = Run(watched)
    outcome = eventlet.Event()

    def starter() -> None:
        try:
            outcome.send(run.handover.start())
        except BaseException as error:
            outcome.send(error)

    thread = spawn(starter)
    with eventlet.Timeout(deadline(5)):
        waiting.wait()
        kill(thread)
        return run, outcome.wait()


def wait_for_ever(run: Run) -> None:
    try:
        eventlet.Event().wait()
    finally:
        run.steps.append("cleaned up")


def test_a_killed_starter_ends_the_view() -> None:
    run, outcome = kill_starter_while_it_waits(wait_for_ever)
    assert isinstance(outcome, greenlet.GreenletExit)
    assert run.steps == ["cleaned up"]
    assert run.state() is State.ENDED
    assert run.ends == []


def test_a_starter_that_times_out_ends_the_view() -> None:
    run = Run(wait_for_ever)
    with eventlet.Timeout(0.01) as timeout:
        with pytest.raises(eventlet.Timeout) as caught:
            run.handover.start()
        assert caught.value is timeout
    assert run.steps == ["cleaned up"]
    assert run.state() is State.ENDED


def test_a_killed_starter_waits_while_the_view_cleans_up() -> None:
    def view(run: Run) -> None:
        try:
            eventlet.Event().wait()
        finally:
            block()
            run.steps.append("cleaned up")

    run, outcome = kill_starter_while_it_waits(view)
    assert isinstance(outcome, greenlet.GreenletExit)
    assert run.steps == ["cleaned up"]


def test_a_view_that_kills_its_starter_is_ended() -> None:
    def starter() -> Any:
        return run.handover.start()

    def view(run: Run) -> None:
        try:
            eventlet.kill(thread)
        except greenlet.GreenletExit:
            run.steps.append("told")
            raise

    run = Run(view)
    thread = spawn(starter)
    with pytest.raises(greenlet.GreenletExit):
        within_deadline(thread)
    assert run.steps == ["told"]


@pytest.mark.parametrize("blocks", [False, True])
def test_a_view_that_swallows_its_end_and_returns(blocks: bool) -> None:
    def view(run: Run) -> str:
        try:
            eventlet.Event().wait()
        except greenlet.GreenletExit:
            if blocks:
                block()
        return "nobody gets this"

    run, outcome = kill_starter_while_it_waits(view)
    assert isinstance(outcome, greenlet.GreenletExit)
    assert run.state() is State.ENDED


@pytest.mark.parametrize("blocks", [False, True])
def test_a_view_that_swallows_its_end_can_not_accept(blocks: bool) -> None:
    def view(run: Run) -> None:
        try:
            eventlet.Event().wait()
        except greenlet.GreenletExit:
            pass
        try:
            run.accept()
        finally:
            if blocks:
                block()
            run.steps.append("cleaned up")

    run, outcome = kill_starter_while_it_waits(view)
    assert isinstance(outcome, greenlet.GreenletExit)
    assert run.steps == ["cleaned up"]
    assert run.state() is State.ENDED
    assert run.ends == []


def test_an_error_in_the_clean_up_of_an_ended_view_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def view(run: Run) -> None:
        try:
            eventlet.Event().wait()
        finally:
            raise ValueError("on purpose")

    _, outcome = kill_starter_while_it_waits(view)
    assert isinstance(outcome, greenlet.GreenletExit)
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "Websocket view failed while it was being ended")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


@pytest.mark.parametrize("then", ["return", "raise", "accept"])
def test_a_starter_that_is_killed_again_leaves_the_view_to_itself(then: str) -> None:
    go_on, gone = eventlet.Event(), eventlet.Event()

    def view(run: Run) -> str:
        try:
            eventlet.Event().wait()
        except greenlet.GreenletExit:
            run.steps.append("told")
        try:
            go_on.wait()
            if then == "raise":
                raise greenlet.GreenletExit
            if then == "accept":
                run.accept()
        finally:
            gone.send()
        return "nobody gets this"

    def kill(thread: Any) -> None:
        thread.kill()
        while not run_steps():
            block()
        thread.kill()

    runs: list[Run] = []

    def run_steps() -> list[Any]:
        return runs[0].steps

    def remembered(run: Run) -> str:
        runs.append(run)
        return view(run)

    run, outcome = kill_starter_while_it_waits(remembered, kill)
    assert isinstance(outcome, greenlet.GreenletExit)
    assert run.state() is State.ENDING
    go_on.send()
    with eventlet.Timeout(deadline(5)):
        gone.wait()
        while run.state() is not State.ENDED:
            block()
    assert run.ends == []


# A 101 that is never sent, and a server that ends


def test_abort_ends_a_parked_view() -> None:
    class ReplacedError(Exception):
        pass

    replaced = ReplacedError()

    def view(run: Run) -> None:
        try:
            run.accept()
        finally:
            run.steps.append("cleaned up")

    run = Run(view)
    assert run.handover.start() is ACCEPTED
    run.on_hub(run.handover.abort, replaced)
    run.wait_ended()
    assert run.steps == ["cleaned up"]
    assert run.ends == [(None, replaced)]


def test_abort_does_not_wait_for_a_clean_up_that_blocks() -> None:
    go_on = eventlet.Event()

    def view(run: Run) -> None:
        try:
            run.accept()
        finally:
            run.steps.append("cleans up")
            go_on.wait()
            run.steps.append("cleaned up")

    run = Run(view)
    assert run.handover.start() is ACCEPTED
    run.on_hub(run.handover.abort, greenlet.GreenletExit())
    block()
    assert run.steps == ["cleans up"]
    go_on.send()
    run.wait_ended()
    assert run.steps == ["cleans up", "cleaned up"]


def test_abort_ends_an_open_view_wherever_it_blocks() -> None:
    def view(run: Run) -> None:
        run.accept()
        wait_for_ever(run)

    run = Run(view)
    assert run.handover.start() is ACCEPTED
    run.on_hub(run.handover.resume)
    block()
    run.on_hub(run.handover.abort, greenlet.GreenletExit("end"))
    run.wait_ended()
    assert run.steps == ["cleaned up"]
    assert isinstance(run.ends[0][1], greenlet.GreenletExit)


def test_abort_of_an_ended_view_does_nothing() -> None:
    run = Run(lambda run: run.accept())
    assert run.handover.start() is ACCEPTED
    run.on_hub(run.handover.resume)
    run.wait_ended()
    run.handover.abort(ValueError("too late"))
    assert run.ends == [(None, None)]


# Context variables

language = contextvars.ContextVar("language", default="none")


def test_the_view_has_a_copy_of_the_starters_context() -> None:
    def view(run: Run) -> None:
        run.steps.append(language.get())
        language.set("the view's")
        block()
        run.accept()
        run.steps.append(language.get())

    token = language.set("the starter's")
    try:
        run = Run(view)
        run.handover.context.run(language.set, "set for the view")
        assert run.handover.start() is ACCEPTED
        assert language.get() == "the starter's"
        language.set("changed later")
        run.on_hub(run.handover.resume)
        run.wait_ended()
        assert run.steps == ["set for the view", "the view's"]
    finally:
        language.reset(token)


def test_many_at_once_do_not_mix_their_outcomes() -> None:
    def one(number: int) -> list[Any]:
        def view(run: Run) -> int:
            for _ in range(number % 3):
                block()
            if number % 2:
                run.accept()
                block()
            return number

        run = Run(view)
        outcomes = [run.handover.start()]
        if outcomes[0] is ACCEPTED:
            run.on_hub(run.handover.resume)
            run.wait_ended()
            outcomes.extend(run.ends)
        return outcomes

    threads = [eventlet.spawn(one, number) for number in range(100)]
    for number, thread in enumerate(threads):
        assert within_deadline(thread) == ([ACCEPTED, (number, None)] if number % 2 else [number])
