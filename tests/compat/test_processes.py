"""What the package relies on and nobody has promised. A failure here says what a new version has changed."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(program: str) -> str:
    """What ``program`` prints in a patched process of its own, where every warning is an error."""
    head = (
        "from django_websocket.serving.patch import eventlet, patch\npatch()\n"
        "from django_websocket.compat import eventlet as eventlet_internals, processes\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", head + program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_current_hub() -> None:
    """``eventlet.hubs._threadlocal.hub``."""
    program = (
        "import eventlet.hubs\n"
        "print(eventlet_internals.current_hub() is eventlet.hubs.get_hub())\n"
        "native = eventlet.patcher.original('threading')\n"
        "thread = native.Thread(target=lambda: print(eventlet_internals.current_hub()))\n"
        "thread.start(); thread.join()"
    )
    assert run(program).split() == ["True", "None"]


def test_forget_other_threads() -> None:
    """``threading._after_fork``, as it is before eventlet empties it."""
    program = (
        "import os, threading\n"
        "lock = threading.Lock(); lock.acquire()\n"
        "other = threading.Thread(target=lock.acquire); other.start(); eventlet.sleep(0)\n"
        "print(threading.active_count(), other.is_alive(), flush=True)\n"
        "if not (pid := os.fork()):\n"
        "    print(threading.active_count(), other.is_alive(), flush=True)\n"
        "    other.join()\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0); lock.release(); other.join()\n"
    )
    assert run(program).splitlines() == ["2 True", "1 False"]


def test_forget_native_threads() -> None:
    """``eventlet.tpool`` and the names of its state."""
    program = (
        "import os\n"
        "from eventlet import tpool\n"
        "print(tpool.execute(int, '1'), flush=True)\n"
        "if not (pid := os.fork()):\n"
        "    print(tpool.execute(int, '2'), flush=True)\n"
        "    os._exit(0)\n"
        "print(os.waitpid(pid, 0)[1], tpool.execute(int, '3'))\n"
        "tpool.killall()"
    )
    if sys.version_info >= (3, 12):
        pytest.skip("Python warns of forks in processes with threads")
    assert run(program).splitlines() == ["1", "2", "0 3"]


def test_use_in_os() -> None:
    """``Connection._send`` and ``_recv`` take ``os.write`` and ``os.read`` as defaults."""
    program = (
        "import os\n"
        "from multiprocessing.connection import Connection\n"
        "from django_websocket.serving.green import descriptors\n"
        "print(Connection._send.__defaults__ == (descriptors.write,) == (os.write,))\n"
        "print(Connection._recv.__defaults__ == (descriptors.read,) == (os.read,))\n"
    )
    assert run(program).split() == ["True", "True"]


def test_use_in_spawning() -> None:
    """``multiprocessing`` opens the pipe for the arguments of a new process with ``open()``."""
    program = (
        "import multiprocessing\n"
        "used = []\n"
        "def open_to_write(fd, mode, closefd):\n"
        "    used.append((mode, closefd)); return open(fd, mode, closefd=closefd)\n"
        "processes.use_in_spawning(open_to_write)\n"
        "for method in ('spawn', 'forkserver'):\n"
        "    process = multiprocessing.get_context(method).Process(target=int); process.start(); process.join()\n"
        "print(used)\n"
    )
    assert run(program) == "[('wb', False), ('wb', True)]"


def test_use_selector() -> None:
    """``multiprocessing.connection.wait`` makes a ``_WaitSelector``."""
    program = (
        "import multiprocessing.connection as connection\n"
        "reader, writer = connection.Pipe()\n"
        "eventlet.spawn_after(0.02, writer.send, 'x')\n"
        "used = []\n"
        "class Selector(connection._WaitSelector):\n"
        "    def select(self, timeout=None): used.append(timeout); return super().select(timeout)\n"
        "processes.use_selector(Selector)\n"
        "print(connection.wait([reader]) == [reader], used)\n"
    )
    assert run(program) == "True [None]"


def test_use_semaphore() -> None:
    """``SemLock._make_methods``, ``_semlock``, its ``kind`` and ``_count``."""
    program = (
        "import multiprocessing\n"
        "lock = multiprocessing.RLock()\n"
        "order = []\n"
        "def work(name):\n"
        "    with lock, lock:\n"
        "        order.append(name); eventlet.sleep(0.01); order.append(name)\n"
        "for thread in [eventlet.spawn(work, name) for name in 'abc']: thread.wait()\n"
        "print(''.join(order), lock.acquire(False), lock.acquire(timeout=0.01))\n"
    )
    assert run(program) in {f"{a}{a}{b}{b}{c}{c} True True" for a, b, c in ("abc", "acb")}


def test_allow_forkserver() -> None:
    assert run("import multiprocessing; print(multiprocessing.get_context('forkserver')._name)") == "forkserver"


def test_children_at_the_end() -> None:
    """``multiprocessing.process._children``, ``util._finalizer_registry``, ``_threads_wakeups`` of executors, and the
    functions that Python calls at its exit.
    """
    program = (
        "import os, sys, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "import multiprocessing as m\n"
        "print(processes.has_children())\n"
        "fork = m.get_context('fork')\n"
        "child = fork.Process(target=time.sleep, args=(60,)); child.start()\n"
        "pool = fork.Pool(1)\n"
        "executor = ProcessPoolExecutor(1, mp_context=fork); executor.submit(time.sleep, 60)\n"
        "print(processes.has_children())\n"
        "workers, others = processes.disown_children()\n"
        "print(len(workers), others == [child], processes.has_children())\n"
        "for process in (*workers, *others): process.kill(); process.join()\n"
        "processes.end_children()\n"
        "sys.stdout.flush(); os._exit(0)"
    )
    assert run(program).splitlines() == ["False", "True", "2 True False"]


def test_silence_fork_warning() -> None:
    """``eventlet._warn_on_fork``."""
    assert run("import os; pid = os.fork() or os._exit(0); print(os.waitpid(pid, 0)[1])") == "0"


def test_the_hub_after_a_fork() -> None:
    """``BaseHub.__init__`` empties a hub; ``remove`` passes over listeners that are ``spent``."""
    program = (
        "import os, eventlet.hubs\n"
        "hub = eventlet.hubs.get_hub()\n"
        "reader, writer = os.pipe()\n"
        "listener = hub.add(hub.READ, reader, print, print, None)\n"
        "eventlet.spawn_after(0.05, print, 'the parent', flush=True)\n"
        "eventlet.sleep(0)\n"
        "def fork():\n"
        "    if not (pid := os.fork()):\n"
        "        hub.remove(listener)\n"
        "        eventlet.sleep(0.1)\n"
        "        print('the child', hub is eventlet.hubs.get_hub(), hub.listeners, flush=True)\n"
        "        return\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "eventlet.spawn(fork).wait()\n"
        "hub.remove(listener)\n"
    )
    assert sorted(run(program).splitlines()) == ["0", "the child True {'read': {}, 'write': {}}", "the parent"]
