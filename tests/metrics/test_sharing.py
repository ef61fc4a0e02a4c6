"""Questions and answers of processes that share a directory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from django_websocket.metrics import sharing as module
from django_websocket.metrics.sharing import Sharing
from tests.deadlines import deadline


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(deadline(10))
    return process.pid


def test_a_question_is_answered_once(tmp_path: Path) -> None:
    one = Sharing(tmp_path)
    one.join()
    first = one.question()
    assert first is not None
    one.answer(first)
    assert one.question() is None
    asked = Sharing(tmp_path).ask()
    assert one.question() == asked
    one.answer(asked)
    assert one.question() is None


def test_who_asks_waits_for_all_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", deadline(30))
    one, other = Sharing(tmp_path), Sharing(tmp_path)
    one.join()
    one.answer(0)
    asked = other.ask()
    waiting = threading.Thread(target=other.wait, args=(asked,), daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    one.answer(asked)
    waiting.join(deadline(10))
    assert not waiting.is_alive()


def test_who_does_not_answer_is_waited_for_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    one, other = Sharing(tmp_path), Sharing(tmp_path)
    one.join()
    one.answer(0)
    other.wait(other.ask())


def test_who_has_left_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", deadline(600))
    one, other = Sharing(tmp_path), Sharing(tmp_path)
    one.join()
    one.answer(0)
    one.leave()
    other.wait(other.ask())


def test_a_process_that_only_shows_the_page_owes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", deadline(600))
    page = Sharing(tmp_path)
    page.answer(page.ask())
    page.wait(page.ask())


def test_what_dead_processes_left(tmp_path: Path) -> None:
    dead, alive = dead_pid(), os.getpid()
    gone = [f"gauge_livesum_{dead}.db", f"gauge_liveall_{dead}.db", f"django_websocket_{dead}.answered"]
    kept = [
        *(f"counter_{dead}.db", f"histogram_{dead}.db", f"gauge_max_{dead}.db", "django_websocket.asked"),
        *(f"gauge_livesum_{alive}.db", f"django_websocket_{alive}.answered", "gauge_livesum_1.db"),
    ]
    for name in [*gone, *kept]:
        (tmp_path / name).touch()
    Sharing(tmp_path).forget_dead()
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


def test_files_without_figures(tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").write_bytes(b"\0" * 8)
    (tmp_path / "counter_2.db").touch()
    (tmp_path / "gauge_livesum_3.db").symlink_to(tmp_path / "gone")
    (tmp_path / "other").write_bytes(b"x")
    assert Sharing(tmp_path).files() == [str(tmp_path / "counter_1.db")]
