"""Views for tests of event loops: asynchronous ones, and plain ones that run a loop."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import greenlet
from asgiref.local import Local
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.utils import translation

from django_websocket import require_websocket
from django_websocket.serving.patch import eventlet
from tests.deadlines import deadline

from ..journal import journal
from .common import SocketRequest, event

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
local = Local()
told = Signal()


def wait_for(name: str) -> None:
    event(name).wait()


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


# Asynchronous views


async def sleeps(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(float(request.GET["seconds"]))
    return HttpResponse("slept")


async def counts(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await Group.objects.acount()))


async def answers(request: HttpRequest) -> HttpResponse:
    return HttpResponse("answered")


async def waits_in_sync_code(request: HttpRequest) -> HttpResponse:
    await sync_to_async(wait_for, thread_sensitive="free" not in request.GET)(request.GET["name"])
    return HttpResponse("waited")


async def streams(request: HttpRequest) -> StreamingHttpResponse:
    """Each piece is asked of the database, then an event is waited for."""

    async def pieces() -> AsyncIterator[str]:
        try:
            for number in range(3):
                yield f"{number} of {await Group.objects.acount()}\n"
                if "name" in request.GET:
                    await sync_to_async(wait_for, thread_sensitive=False)(request.GET["name"])
        finally:
            await Group.objects.acount()
            journal.append("generator closed")

    return StreamingHttpResponse(pieces())


async def streams_for_ever(request: HttpRequest) -> StreamingHttpResponse:
    """``?size``: of a piece; 0 is none after the first. ``?seconds`` between two."""
    size = int(request.GET["size"])

    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            while True:
                await asyncio.sleep(float(request.GET["seconds"]))
                if size:
                    yield b"x" * size
        finally:
            await Group.objects.acount()
            journal.append("generator closed")

    return StreamingHttpResponse(pieces())


async def stream_fails(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        raise ValueError("on purpose, in a generator")

    return StreamingHttpResponse(pieces())


# Plain views that run a loop


def survives(request: HttpRequest) -> JsonResponse:
    """What of the plain side the asynchronous side sees, and the other way round."""

    def inner() -> dict[str, Any]:
        return {
            "variable": variable.get(),
            "local": local.value,
            "language": translation.get_language(),
            "connection": connection.connection is outer,
            "atomic": connection.in_atomic_block,
            "greenlet": greenlet.getcurrent() is caller,
            "loop": running_loop() is not None,
        }

    async def middle() -> dict[str, Any]:
        seen = {
            "async variable": variable.get(),
            "async local": local.value,
            "async language": translation.get_language(),
            "async loop": running_loop() is not None,
        }
        await asyncio.sleep(0.01)
        await Group.objects.acreate(name="rolled back")
        seen.update(await sync_to_async(inner)())
        variable.set("changed")
        local.value = "changed"
        return seen

    caller = greenlet.getcurrent()
    variable.set("set")
    local.value = "set"
    with translation.override("fr"), transaction.atomic():
        connection.ensure_connection()
        outer = connection.connection
        seen = async_to_sync(middle)()
        seen["created"] = Group.objects.filter(name="rolled back").exists()
        transaction.set_rollback(True)
    seen["rolled back"] = not Group.objects.filter(name="rolled back").exists()
    seen["variable after"], seen["local after"], seen["loop after"] = variable.get(), local.value, running_loop()
    return JsonResponse(seen)


def nests(request: HttpRequest) -> HttpResponse:
    """Plain in asynchronous in plain, some levels deep."""

    def down(level: int) -> list[int]:
        return [level, *async_to_sync(across)(level)] if level else [Group.objects.count()]

    async def across(level: int) -> list[int]:
        await asyncio.sleep(0.001)
        [found, direct] = await asyncio.gather(sync_to_async(down)(level - 1), asyncio.sleep(0.001, level))
        assert direct == level
        numbers: list[int] = found
        return numbers

    return JsonResponse(down(4), safe=False)


def in_its_own_loop(request: HttpRequest) -> HttpResponse:
    """``asyncio.run`` with what it starts threads and processes for."""

    async def main() -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print(6 * 7)", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await program.communicate()
        try:
            loop.add_signal_handler(15, print)
        except RuntimeError as error:
            refused = str(error)
        return {
            "process": [out.decode().strip(), program.returncode],
            "thread": await asyncio.to_thread(Group.objects.count),
            "executor": await loop.run_in_executor(None, running_loop),
            "address": (await loop.getaddrinfo("127.0.0.1", 80))[0][4],
            "sensitive": await Group.objects.acount(),
            "network": await _talks_to_itself(),
            "signal": refused,
        }

    return JsonResponse(asyncio.run(main(), debug="debug" in request.GET))


async def _talks_to_itself() -> str:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
    return line.decode().strip()


def blocks_in_a_coroutine(request: HttpRequest) -> JsonResponse:
    """What is no good style, and must harm nobody else: a coroutine that calls what blocks."""
    finalized: list[bool] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            finalized.append(running_loop() is mine)

    mine: asyncio.AbstractEventLoop | None = None

    async def main() -> dict[str, bool]:
        nonlocal mine
        mine, task, hooks = asyncio.get_running_loop(), asyncio.current_task(), sys.get_asyncgen_hooks()
        journal.append("blocks")
        wait_for(request.GET["name"])
        time.sleep(0.01)
        async for _ in numbers():
            break  # whose generator is left to the loop
        async with asyncio.timeout(deadline(10)):
            while not finalized:
                await asyncio.sleep(0.001)
        return {
            "loop": asyncio.get_running_loop() is mine,
            "task": asyncio.current_task() is task,
            "hooks": sys.get_asyncgen_hooks() == hooks,
        }

    found = asyncio.run(main())
    return JsonResponse({**found, "finalized": finalized, "after": running_loop() is None})


def sees_no_loop(request: HttpRequest) -> JsonResponse:
    hooks = sys.get_asyncgen_hooks()
    return JsonResponse(
        {
            "loop": running_loop() is not None,
            "hooks": hooks.firstiter is not None or hooks.finalizer is not None,
            "origins": sys.get_coroutine_origin_tracking_depth(),
            "groups": Group.objects.count(),
        }
    )


def kills_in_a_coroutine(request: HttpRequest) -> JsonResponse:
    """Killing another green thread switches to it at once."""
    seen = []

    def victim() -> None:
        try:
            wait_for("never")
        finally:
            seen.append(running_loop())
            time.sleep(0)
            seen.append(running_loop())

    other = eventlet.spawn(victim)
    eventlet.sleep(0)

    async def main() -> bool:
        mine = asyncio.get_running_loop()
        other.kill()
        time.sleep(0.01)
        return asyncio.get_running_loop() is mine

    return JsonResponse({"loop": asyncio.run(main()), "others": seen})


def runs_out_of_time(request: HttpRequest) -> JsonResponse:
    """What it waits for is cancelled, and cleans up where it should."""
    cleaned: list[Any] = []

    async def main() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.append(await sync_to_async(greenlet.getcurrent)() is greenlet_here)

    async def begin() -> None:
        # On a busy machine its time could be up before it has begun.
        time_is_up = eventlet.Timeout(None)
        eventlet.hubs.get_hub().schedule_call_global(0.01, greenlet_here.throw, time_is_up)
        await main()

    greenlet_here = greenlet.getcurrent()
    try:
        async_to_sync(begin)()
    except eventlet.Timeout:
        cleaned.append("timed out")
    try:
        with eventlet.Timeout(0.1):
            asyncio.run(asyncio.sleep(3600))
    except eventlet.Timeout:
        cleaned.append("timed out")
    return JsonResponse(cleaned, safe=False)


def waits_for_the_same(request: HttpRequest) -> JsonResponse:
    """Two loops and a green thread wait for one descriptor; it becomes ready for all of them."""
    reader, writer = os.pipe()

    async def main() -> str:
        ready = asyncio.Event()
        asyncio.get_running_loop().add_reader(reader, ready.set)
        await ready.wait()
        return "ready"

    def green() -> str:
        eventlet.hubs.trampoline(reader, read=True)
        return "ready"

    waiting = [eventlet.spawn(green), *(eventlet.spawn(asyncio.run, main()) for _ in range(2))]
    eventlet.sleep(0.01)
    try:
        os.write(writer, b"x")
        return JsonResponse([one.wait() for one in waiting], safe=False)
    finally:
        os.close(reader)
        os.close(writer)


def has_current_loops(request: HttpRequest) -> JsonResponse:
    """The old way: a loop is set, and asked for again, in several green threads."""

    def old_way() -> bool:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            time.sleep(0.01)
            mine = asyncio.get_event_loop() is loop
            loop.run_until_complete(asyncio.sleep(0.01))
            return mine
        finally:
            loop.close()
            asyncio.set_event_loop(None)

    running = [eventlet.spawn(old_way) for _ in range(3)]
    return JsonResponse([one.wait() for one in running], safe=False)


def spins(request: HttpRequest) -> HttpResponse:
    """A loop that always has something to do, until something else happens."""

    async def main() -> None:
        over = event(request.GET["name"])
        journal.append("spins")
        while not over.ready():
            await asyncio.sleep(0)

    asyncio.run(main())
    return HttpResponse("over")


def sends_signals(request: HttpRequest) -> JsonResponse:
    """To a plain and an asynchronous receiver, from a plain and an asynchronous sender."""

    async def asynchronous(**kwargs: Any) -> int:
        await asyncio.sleep(0.001)
        return await Group.objects.acount()

    def plain(**kwargs: Any) -> int:
        return Group.objects.count()

    async def send() -> list[Any]:
        return [answer for _, answer in await told.asend(None)]

    told.connect(asynchronous)
    told.connect(plain)
    try:
        answers = [answer for _, answer in told.send(None)]
        return JsonResponse([len(answers), len(async_to_sync(send)())], safe=False)
    finally:
        told.disconnect(asynchronous)
        told.disconnect(plain)


# Websockets


@require_websocket
def by_async_to_sync(request: SocketRequest) -> None:
    async def answer(message: str) -> str:
        await asyncio.sleep(0.05)
        return f"{message} {await Group.objects.acount()}"

    for message in request.websocket:
        request.websocket.send(async_to_sync(answer)(str(message)))


@require_websocket
def by_asyncio_run(request: SocketRequest) -> None:
    async def answer(message: str) -> str:
        [_, groups, others] = await asyncio.gather(
            asyncio.sleep(0.05), Group.objects.acount(), asyncio.to_thread(Group.objects.count)
        )
        assert groups == others
        return f"{message} {groups}"

    for message in request.websocket:
        request.websocket.send(asyncio.run(answer(str(message))))


@require_websocket
def runs_before_the_accept(request: SocketRequest) -> None:
    async def count() -> int:
        return await Group.objects.acount()

    request.websocket.send(str(asyncio.run(count()) + async_to_sync(count)()))


@require_websocket
def waits_in_a_coroutine(request: SocketRequest) -> None:
    """Waits for its messages where a loop runs."""

    async def echo() -> None:
        mine = asyncio.get_running_loop()
        for message in request.websocket:
            assert asyncio.get_running_loop() is mine
            request.websocket.send(message)
            await asyncio.sleep(0)

    asyncio.run(echo())


@require_websocket
def sends_from_a_coroutine(request: SocketRequest) -> None:
    """What a coroutine has to say goes to the client, until that has left."""
    request.websocket.accept()

    async def feed() -> None:
        try:
            while True:
                request.websocket.send("news")
                await asyncio.sleep(0.01)
        finally:
            journal.append("feed ended")

    async_to_sync(feed)()


@require_websocket
def awaits_for_ever(request: SocketRequest) -> None:
    request.websocket.send("waits")
    async_to_sync(asyncio.sleep)(3600)


async def calls_a_websocket_view(request: Any) -> HttpResponse:
    """Without ``sync_to_async``: the loop waits until the view has accepted."""
    view: Any = by_async_to_sync
    response: HttpResponse = view(request)
    return response


VIEWS = (
    "answers",
    "awaits_for_ever",
    "blocks_in_a_coroutine",
    "by_async_to_sync",
    "by_asyncio_run",
    "calls_a_websocket_view",
    "counts",
    "has_current_loops",
    "in_its_own_loop",
    "kills_in_a_coroutine",
    "nests",
    "runs_before_the_accept",
    "runs_out_of_time",
    "sees_no_loop",
    "sends_from_a_coroutine",
    "sends_signals",
    "sleeps",
    "spins",
    "stream_fails",
    "streams",
    "streams_for_ever",
    "survives",
    "waits_for_the_same",
    "waits_in_a_coroutine",
    "waits_in_sync_code",
)
