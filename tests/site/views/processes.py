"""Views that start processes, in every way that Python has."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from django_websocket import ConnectionClosed, require_websocket
from django_websocket.serving.patch import eventlet

from .. import work
from .common import SocketRequest


def process(method: str, number: int) -> Any:
    context: Any = multiprocessing.get_context(method)
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=work.send_square, args=(writer, number))
    child.start()
    writer.close()
    result = reader.recv()
    child.join()
    reader.close()
    return result, child.exitcode


def queue(method: str, number: int) -> Any:
    context: Any = multiprocessing.get_context(method)
    results = context.Queue()
    children = [context.Process(target=work.put_square, args=(results, number + i)) for i in range(2)]
    for child in children:
        child.start()
    found = sorted(results.get() for _ in children)
    for child in children:
        child.join()
    return found


def pool(method: str, number: int) -> Any:
    with multiprocessing.get_context(method).Pool(2) as workers:
        return workers.map(work.slow_square, range(number, number + 5))


def closed_pool(method: str, number: int) -> Any:
    workers = multiprocessing.get_context(method).Pool(2)
    found = [result.get() for result in [workers.apply_async(work.slow_square, (number + i,)) for i in range(5)]]
    workers.close()
    workers.join()
    return found


def executor(method: str, number: int) -> Any:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as workers:
        return list(workers.map(work.slow_square, range(number, number + 5)))


def fork(method: str, number: int) -> Any:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        os.write(writer, str(work.slow_square(number)).encode())
        os._exit(3)
    os.close(writer)
    result = int(os.read(reader, 100))
    os.close(reader)
    return result, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(method: str, number: int) -> Any:
    command = ["sh", "-c", f"sleep 0.05; cat; echo {number}"]
    if method == "preexec":
        done = subprocess.run(command, input="in ", capture_output=True, text=True, check=True, preexec_fn=os.setsid)
    else:
        done = subprocess.run(command, input="in ", capture_output=True, text=True, check=True)
    return done.stdout


def system(method: str, number: int) -> Any:
    return os.waitstatus_to_exitcode(os.system(f"sleep 0.05; exit {number}"))


def popen(method: str, number: int) -> Any:
    with os.popen(f"sleep 0.05; echo {number}") as out:
        return out.read()


native_sleep = eventlet.patcher.original("time").sleep

WAYS: dict[str, Callable[[str, int], Any]] = {
    way.__name__: way for way in (process, queue, pool, closed_pool, executor, fork, run, system, popen)
}


def start(request: HttpRequest) -> JsonResponse:
    """The result of ``way``, with ``method`` to start processes, for ``number``."""
    way = WAYS[request.GET["way"]]
    return JsonResponse(way(request.GET.get("method", ""), int(request.GET["number"])), safe=False)


def block(request: HttpRequest) -> HttpResponse:
    """Holds up everything for some seconds, as a driver that isn't green would."""
    native_sleep(float(request.GET["seconds"]))
    return HttpResponse("done")


children: list[Any] = []


def keep(request: HttpRequest) -> JsonResponse:
    """Start a child process that lives for long; its pid."""
    child = multiprocessing.get_context("fork").Process(
        target=work.sleep_for, args=(60,), daemon=request.GET.get("daemon") == "yes"
    )
    child.start()
    children.append(child)
    return JsonResponse(child.pid, safe=False)


def keep_pools(request: HttpRequest) -> JsonResponse:
    """Leave a pool and an executor at work; the pids of their workers."""
    workers = multiprocessing.get_context("fork").Pool(2)
    workers.map_async(work.sleep_for, [60] * 5)
    executor = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork"))
    futures = [executor.submit(work.sleep_for, 60) for _ in range(5)]
    children.extend((workers, executor, futures))
    return JsonResponse([*(p.pid for p in workers._pool), *executor._processes], safe=False)  # type: ignore[attr-defined]


def keep_from_ending(request: HttpRequest) -> HttpResponse:
    """Have Python's exit hang."""
    atexit.register(native_sleep, 60)
    return HttpResponse("registered")


def terminate(request: HttpRequest) -> JsonResponse:
    """Terminate a child process just after its start."""
    child = multiprocessing.get_context("fork").Process(target=work.sleep_for, args=(60,))
    child.start()
    child.terminate()
    child.join()
    return JsonResponse(child.exitcode, safe=False)


def failing(request: HttpRequest) -> JsonResponse:
    child = multiprocessing.get_context("fork").Process(target=work.exit_with, args=(7,))
    child.start()
    child.join()
    with multiprocessing.get_context("fork").Pool(1) as workers:
        try:
            workers.apply(work.fail, (3,))
        except ValueError as error:
            return JsonResponse([child.exitcode, str(error)], safe=False)
    raise AssertionError("the error got lost")


def green(request: HttpRequest) -> JsonResponse:
    """A child process that uses green sockets and green threads."""
    with multiprocessing.get_context("fork").Pool(1) as workers:
        return JsonResponse(workers.apply(work.ask_in_threads, (request.get_host(), 3)), safe=False)


def large(request: HttpRequest) -> JsonResponse:
    """Give busy workers more than a pipe holds."""
    with multiprocessing.get_context("fork").Pool(1) as workers:
        busy = workers.apply_async(work.wait_for_file, (request.GET["file"],))
        found = workers.map(work.length, [b"x" * 300_000] * 4, chunksize=1)
        return JsonResponse([busy.get(), *found], safe=False)


def spawns_large(request: HttpRequest) -> JsonResponse:
    """Give a new process more than a pipe holds. It reads the rest when a file exists."""
    context: Any = multiprocessing.get_context(request.GET["method"])
    reader, writer = context.Pipe(duplex=False)
    arguments = (writer, work.HeldUp(request.GET["file"]), b"x" * 1_000_000)
    child = context.Process(target=work.send_length, args=arguments)
    child.start()
    writer.close()
    found = reader.recv()
    child.join()
    reader.close()
    return JsonResponse([found, child.exitcode], safe=False)


def falls_through(request: HttpRequest) -> HttpResponse:
    """The child returns from the view as the parent does; ``how`` it leaves otherwise."""
    child = os.fork()
    if not child:
        if request.GET["how"] == "exit":
            sys.exit(5)
        if request.GET["how"] == "raise":
            raise SystemExit
        return HttpResponse("the child")
    return HttpResponse(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))


@require_websocket
def socket_forks(request: SocketRequest) -> None:
    """As above, in a websocket's view."""
    websocket = request.websocket
    how = websocket.wait()
    child = os.fork()
    if not child:
        if how == "exit":
            sys.exit(5)
        if how == "use":
            assert websocket.wait() is None
            try:
                websocket.send("from the child")
            except ConnectionClosed:
                sys.exit(6)
        return
    websocket.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
    websocket.send(websocket.wait())


def preexec(request: HttpRequest) -> HttpResponse:
    """What a child that is about to become another program inherits: sockets."""
    list_sockets = (
        "import os; print(sum('socket' in os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')"
    )
    list_sockets += " if os.path.islink(f'/proc/self/fd/{n}')))"
    command = [sys.executable, "-c", list_sockets]
    done = subprocess.run(command, capture_output=True, text=True, close_fds=False, preexec_fn=os.getpid)
    return HttpResponse(done.stdout + done.stderr)


def waits(request: HttpRequest) -> JsonResponse:
    """Each function of the wait family."""

    def child() -> int:
        return os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 0.05; exit 4"], os.environ)

    statuses = []
    pid = child()
    statuses.append(os.wait4(pid, 0)[1])
    pid = child()
    ended = os.waitid(os.P_PID, pid, os.WEXITED)
    assert ended is not None
    statuses.append(ended.si_status << 8)
    pid = child()
    statuses.append(os.waitpid(pid, 0)[1])
    statuses.append(os.spawnv(os.P_WAIT, "/bin/sh", ["sh", "-c", "exit 4"]) << 8)
    return JsonResponse([os.waitstatus_to_exitcode(status) for status in statuses], safe=False)


def echo_pid(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(os.getpid()))


@require_websocket
def pid(request: SocketRequest) -> None:
    """Says in which process it runs, then echoes."""
    request.websocket.send(str(os.getpid()))
    for message in request.websocket:
        request.websocket.send(message)


VIEWS = (
    "block",
    "echo_pid",
    "failing",
    "falls_through",
    "green",
    "keep",
    "keep_pools",
    "keep_from_ending",
    "large",
    "pid",
    "preexec",
    "socket_forks",
    "spawns_large",
    "start",
    "terminate",
    "waits",
)
