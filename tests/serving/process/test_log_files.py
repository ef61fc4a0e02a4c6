"""Log files that are rotated by renaming them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from logging.handlers import MemoryHandler, WatchedFileHandler
from pathlib import Path

import pytest

from django_websocket.serving.process.log_files import reopen_log_files

logger = logging.getLogger("tests.log_files")


def reopened() -> int:
    """How many of this module's files were reopened; pytest may have one of its own."""
    mine = reopen_log_files()
    handlers = list(logger.handlers)
    logger.handlers.clear()
    others = reopen_log_files()
    logger.handlers.extend(handlers)
    return mine - others


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    propagate, logger.propagate = logger.propagate, False
    yield tmp_path / "logs"
    logger.propagate = propagate
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        target = getattr(handler, "target", handler)
        handler.close()
        target.close()


def add(handler: logging.Handler) -> None:
    logger.addHandler(handler)


def rotated(directory: Path) -> Path:
    """Move the directory away, and make it anew."""
    away = directory.with_name("old")
    directory.rename(away)
    directory.mkdir()
    return away


@pytest.mark.parametrize("mode", ["a", "w", "x"])
def test_new_lines_go_to_the_new_file(directory: Path, mode: str) -> None:
    directory.mkdir()
    add(logging.FileHandler(directory / "log", mode=mode))
    logger.warning("one")
    away = rotated(directory)
    logger.warning("two")
    assert reopened() == 1
    logger.warning("three")
    assert (away / "log").read_text() == "one\ntwo\n"
    assert (directory / "log").read_text() == "three\n"


@pytest.mark.parametrize("mode", ["a", "w"])
def test_a_file_that_was_not_renamed_keeps_its_lines(directory: Path, mode: str) -> None:
    directory.mkdir()
    add(logging.FileHandler(directory / "log", mode=mode))
    logger.warning("one")
    assert reopened() == 1
    logger.warning("two")
    assert (directory / "log").read_text() == "one\ntwo\n"


def test_the_file_behind_a_buffer(directory: Path) -> None:
    directory.mkdir()
    add(MemoryHandler(10, target=logging.FileHandler(directory / "log")))
    rotated(directory)
    assert reopened() == 1
    assert (directory / "log").exists()


def test_a_file_that_can_not_be_opened_stays(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory.mkdir()
    add(logging.FileHandler(directory / "log"))
    away = directory.with_name("old")
    directory.rename(away)
    assert reopened() == 0
    assert "could not reopen a log file: [Errno 2]" in caplog.text
    logger.warning("one")
    assert (away / "log").read_text() == "one\n"


def test_what_needs_no_help_is_left_alone(directory: Path) -> None:
    directory.mkdir()
    add(WatchedFileHandler(directory / "watched"))
    add(logging.FileHandler(directory / "delayed", delay=True))
    add(logging.StreamHandler())
    assert reopened() == 0
    assert not (directory / "delayed").exists()
