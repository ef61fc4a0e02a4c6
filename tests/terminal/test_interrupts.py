"""Signals: a KeyboardInterrupt, or first something to wait for."""

from __future__ import annotations

import os
import select
import signal

import pytest

from django_websocket.terminal.interrupts import Interrupts

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def is_readable(interrupts: Interrupts) -> bool:
    return select.select([interrupts], [], [], 0)[0] == [interrupts]


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_is_a_keyboard_interrupt(signum: signal.Signals) -> None:
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signum)
        assert not is_readable(interrupts)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_deferred_signal_is_something_to_wait_for(signum: signal.Signals) -> None:
    with Interrupts() as interrupts:
        interrupts.deferred = True
        assert not is_readable(interrupts)
        signal.raise_signal(signum)
        assert is_readable(interrupts)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signum)


def test_what_was_before_is_restored() -> None:
    before = [signal.getsignal(signum) for signum in SIGNALS]
    with Interrupts() as interrupts:
        descriptor = interrupts.fileno()
        assert [signal.getsignal(signum) for signum in SIGNALS] != before
    assert [signal.getsignal(signum) for signum in SIGNALS] == before
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Interrupts() as interrupts:
            interrupts.deferred = True
            signal.raise_signal(signal.SIGHUP)
            assert not is_readable(interrupts)
    finally:
        signal.signal(signal.SIGHUP, before)
