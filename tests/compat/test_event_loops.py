"""The internals of others that this package uses are still what it takes them for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import AsyncToSync

from django_websocket.compat import asgiref as compat_asgiref
from django_websocket.compat import event_loops as compat
from tests.conftest import ROOT
from tests.deadlines import deadline


def printed(program: str) -> str:
    """What ``program`` prints in a patched process of its own, where every warning is an error."""
    begin = "from django_websocket.serving.patch import eventlet, patch\npatch()\nimport asyncio, threading\n"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", begin + program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ran.stderr == ""
    return ran.stdout.strip()


@pytest.mark.parametrize("debug", [False, True])
def test_the_running_loop_is_all_that_asyncio_keeps_for_a_thread(debug: bool) -> None:
    finalized = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            finalized.append(asyncio.get_running_loop())

    async def main() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        hooks, depth = sys.get_asyncgen_hooks(), sys.get_coroutine_origin_tracking_depth()
        running = compat.leave_running_loop(loop)
        try:
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            assert asyncio.current_task(loop) is None
            assert tuple(sys.get_asyncgen_hooks()) == (None, None)
            assert sys.get_coroutine_origin_tracking_depth() == 0
            # Another one can run here meanwhile.
            other = asyncio.new_event_loop()
            try:
                other.run_until_complete(asyncio.sleep(0))
            finally:
                other.close()
        finally:
            compat.enter_running_loop(running)
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is task
        assert sys.get_asyncgen_hooks() == hooks
        assert sys.get_coroutine_origin_tracking_depth() == depth
        async for _ in numbers():
            break
        async with asyncio.timeout(deadline(10)):
            while not finalized:
                await asyncio.sleep(0.001)
        assert finalized == [loop]
        await asyncio.wait_for(asyncio.create_task(asyncio.sleep(0)), deadline(10))

    asyncio.run(main(), debug=debug)


def test_outside_loop() -> None:
    async def main() -> Any:
        inner = compat.outside_loop(asyncio._get_running_loop)
        with pytest.raises(ZeroDivisionError):
            compat.outside_loop(divmod, 1, 0)
        return inner, asyncio._get_running_loop() is asyncio.get_running_loop()

    assert asyncio.run(main()) == (None, True)
    assert compat.outside_loop(divmod, 7, 2) == (3, 1)


def test_loops_take_the_selector_that_they_are_given() -> None:
    program = (
        "import selectors\n"
        "loop = asyncio.new_event_loop(); print(type(loop._selector).__name__); loop.close()\n"
        "own = selectors.SelectSelector()\n"
        "loop = asyncio.SelectorEventLoop(own); print(loop._selector is own); loop.close()"
    )
    assert printed(program).split() == ["HubSelector", "True"]


def test_the_current_loop_is_that_of_a_green_thread() -> None:
    program = (
        "loop = asyncio.new_event_loop(); asyncio.set_event_loop(loop)\n"
        "def other():\n"
        "    try: return asyncio.get_event_loop()\n"
        "    except RuntimeError as error: return str(error).partition(' in ')[0]\n"
        "print(eventlet.spawn(other).wait(), '|', asyncio.get_event_loop() is loop)\n"
        "asyncio.set_event_loop(None); loop.close()"
    )
    assert printed(program) == "There is no current event loop | True"


def test_signal_handlers_are_for_the_main_green_thread() -> None:
    program = (
        "async def main():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    try: loop.add_signal_handler(10, print)\n"
        "    except RuntimeError as error: return 'refused'\n"
        "    return loop.remove_signal_handler(10)\n"
        "print(eventlet.spawn(asyncio.run, main()).wait(), asyncio.run(main()))"
    )
    assert printed(program) == "refused True"


def test_threads_end_with_the_callback() -> None:
    program = (
        "from django_websocket.compat import asgiref, event_loops, python\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "ended = []\n"
        "python.when_threads_end(lambda: ended.append(threading.get_ident()))\n"
        "began = []\n"
        "thread = threading.Thread(target=lambda: began.append(threading.get_ident())); thread.start(); thread.join()\n"
        "with ThreadPoolExecutor(1) as pool: began.append(pool.submit(threading.get_ident).result())\n"
        "print(began == ended, len(ended))"
    )
    assert printed(program) == "True 2"


def test_a_killed_caller_of_async_to_sync() -> None:
    """Whether its loop was its own, or that of a caller further up."""
    program = (
        "from asgiref.sync import async_to_sync, sync_to_async\n"
        "log = []\n"
        "async def inner():\n"
        "    log.append('began')\n"
        "    try: await asyncio.sleep(3600)\n"
        "    finally: log.append('ended'); await sync_to_async(log.append)('cleaned')\n"
        "async def outer():\n"
        "    await sync_to_async(async_to_sync(inner))()\n"
        "for function in (inner, outer):\n"
        "    caller = eventlet.spawn(async_to_sync(function))\n"
        "    while not log: eventlet.sleep(0)\n"
        "    eventlet.sleep(0.01)\n"
        "    caller.kill()\n"
        "    try: caller.wait()\n"
        "    except eventlet.greenlet.GreenletExit: log.append('killed')\n"
        "    except asyncio.CancelledError: log.append('cancelled')\n"
        "    print(*log); log.clear()\n"
    )
    assert printed(program).split("\n") == ["began ended cleaned killed"] * 2


def test_the_callers_executor_is_forgotten() -> None:
    executors = AsyncToSync.executors
    before = getattr(executors, "current", None)
    executors.current = object()
    try:
        compat_asgiref.forget_callers_executor()
        assert executors.current is None
    finally:
        executors.current = before


def test_the_shared_worker_is_released() -> None:
    program = (
        "from asgiref.sync import sync_to_async\n"
        "from django_websocket.compat import asgiref, event_loops, python\n"
        "asgiref.release_shared_worker(lambda: print('without a worker'))\n"
        "async def main(): return await sync_to_async(threading.get_ident)()\n"
        "worker = asyncio.run(main())\n"
        "called = []\n"
        "asgiref.release_shared_worker(lambda: called.append(threading.get_ident() == worker))\n"
        "while not called: eventlet.sleep(0.01)\n"
        "print(*called)"
    )
    assert printed(program) == "True"
