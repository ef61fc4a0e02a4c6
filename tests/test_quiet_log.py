"""What comes by the thousand is logged once, and counted."""

from __future__ import annotations

import pytest
from greenlet import GreenletExit

from django_websocket.quiet_log import MAX_TEXTS, PERIOD, QuietLog


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_text_is_logged_once_and_then_counted(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    log = QuietLog(clock)
    for _ in range(1001):
        log.warn("refused 203.0.113.7")
    log.warn("refused 198.51.100.1")
    assert caplog.messages == ["refused 203.0.113.7", "refused 198.51.100.1"]
    caplog.clear()
    clock.now += PERIOD
    log.flush()
    assert caplog.messages == ["refused 203.0.113.7 (1000 more times)"]
    caplog.clear()
    # It goes on, and then it doesn't.
    log.warn("refused 203.0.113.7")
    clock.now += PERIOD
    log.flush()
    assert caplog.messages == ["refused 203.0.113.7 (1 more times)"]
    clock.now += PERIOD
    log.flush()
    caplog.clear()
    log.warn("refused 203.0.113.7")
    assert caplog.messages == ["refused 203.0.113.7"]


def test_of_many_texts_most_are_only_counted(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    log = QuietLog(clock)
    for number in range(MAX_TEXTS + 900):
        log.warn(f"refused {number}")
    assert len(caplog.messages) == MAX_TEXTS
    caplog.clear()
    log.flush(final=True)
    assert caplog.messages == ["The same for others (900 more times)"]
    log.warn("refused once more")
    assert caplog.messages[1:] == ["refused once more"]


def test_a_server_logs_in_a_job_of_its_own_and_the_rest_at_its_end(
    clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = QuietLog(clock)
    turns = iter([["first"], ["first", "second"], None])

    def sleep(seconds: float) -> None:
        texts = next(turns)
        if texts is None:
            raise GreenletExit
        before = caplog.messages
        for text in texts:
            log.warn(text)
        assert caplog.messages == before, "not by whoever warns"

    monkeypatch.setattr("django_websocket.quiet_log.time.sleep", sleep)
    with pytest.raises(GreenletExit):
        log.serve()
    assert caplog.messages == ["first", "second", "first (1 more times)"]
