"""Monkey patching, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from django_websocket.serving.patch import is_patched


def run(program: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``program`` with every warning an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_process_of_pytest_is_not_patched() -> None:
    """A test module that patched it by an import would change what the other tests see."""
    assert not is_patched()


def test_patches_once_and_quietly() -> None:
    ran = run(
        "from django_websocket.serving.patch import is_patched, patch\n"
        "before = is_patched()\n"
        "patch(); patch()\n"
        "import os, socket, threading, time\n"
        "from eventlet.green import socket as green\n"
        "print(before, is_patched(), socket.socket is green.socket, os.environ['PSYCOPG_WAIT_FUNC'])"
    )
    assert (ran.stdout, ran.stderr) == ("False True True wait_select\n", "")


def test_imports_no_django() -> None:
    """What Django imports must be patched before."""
    ran = run(
        "import sys\n"
        "from django_websocket.serving import patch\n"
        "print(sorted(m for m in sys.modules if m.partition('.')[0] in ('django', 'psycopg')))"
    )
    assert (ran.stdout, ran.stderr) == ("[]\n", "")


def test_other_warnings_are_not_filtered() -> None:
    ran = run("from django_websocket.serving.patch import patch\npatch()\nimport warnings; warnings.warn('another')")
    assert "UserWarning: another" in ran.stderr


def test_refuses_the_asyncio_hub() -> None:
    for name in ("asyncio", "eventlet.hubs.asyncio:Hub"):
        ran = run("from django_websocket.serving.patch import patch; patch()", EVENTLET_HUB=name)
        assert "RuntimeError: EVENTLET_HUB=asyncio is not supported" in ran.stderr


def test_somebody_else_patched() -> None:
    ran = run(
        "from django_websocket.serving.patch import eventlet, is_patched\neventlet.monkey_patch()\nprint(is_patched())"
    )
    assert ran.stdout == "True\n"


def test_a_choice_of_psycopg_wait_func_is_kept() -> None:
    ran = run(
        "from django_websocket.serving.patch import patch\npatch()\nimport os; print(os.environ['PSYCOPG_WAIT_FUNC'])",
        PSYCOPG_WAIT_FUNC="wait_selector",
    )
    assert ran.stdout == "wait_selector\n"


def test_event_loops_where_somebody_else_patched() -> None:
    """As late as when the server starts."""
    ran = run(
        "from django_websocket.serving.patch import eventlet\n"
        "eventlet.monkey_patch()\n"
        "import asyncio, asgiref.sync\n"
        "from django_websocket.serving.green.event_loops import install\n"
        "install(); install()\n"
        "runs = [eventlet.spawn(asyncio.run, asyncio.sleep(0.01, number)) for number in range(3)]\n"
        "print([one.wait() for one in runs])"
    )
    assert (ran.stdout, ran.stderr) == ("[0, 1, 2]\n", "")
