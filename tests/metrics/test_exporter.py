"""How figures become metrics of prometheus-client, in a process of its own: its registry can't be emptied."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

from tests.conftest import ROOT
from tests.deadlines import deadline

PREPARE = """
import os, sys
from django.conf import settings
settings.configure()
from prometheus_client import REGISTRY
from django_websocket.metrics.exporter import MAX_TICKS, Exporter
from django_websocket.metrics.figures import figures

def value(name, **labels):
    return REGISTRY.get_sample_value("django_websocket_" + name, labels)

class Told:
    processes = 0
    def __init__(self):
        self.values, self.durations = {}, figures.durations
    def read(self, let_others_run):
        return self.values

told = Told()
exporter = Exporter(told, None)
"""


def run(program: str) -> str:
    code = PREPARE + dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=deadline(30)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_counters_rise_by_what_has_come_since_and_never_fall() -> None:
    run("""
        for total, expected in ((3, 3), (5, 5), (4, 5), (6, 6)):
            told.values = {"opened_total": {("/a/",): total}}
            exporter.refresh()
            assert value("opened_total", route="/a/") == expected
    """)


def test_a_gauge_of_which_nothing_is_left_is_zero() -> None:
    run("""
        told.values = {"database_connections": {("default",): 2}}
        exporter.refresh()
        assert value("database_connections", database="default") == 2
        told.values = {}
        exporter.refresh()
        assert value("database_connections", database="default") == 0
    """)


def test_whoever_collects_gets_what_is_true_now() -> None:
    run("""
        from prometheus_client import generate_latest
        exporter.declare()
        told.values = {"opened_total": {("/a/",): 7}}
        assert b'django_websocket_opened_total{route="/a/"} 7.0' in generate_latest(REGISTRY)
    """)


def test_durations_are_taken_once() -> None:
    run("""
        told.durations.append(("/a/", 5.0))
        exporter.refresh()
        exporter.refresh()
        assert value("view_seconds_count", route="/a/") == 1
        assert value("view_seconds_bucket", route="/a/", le="10.0") == 1
        assert value("view_seconds_bucket", route="/a/", le="1.0") == 0
    """)


def test_a_late_tick_stands_for_those_that_it_held_up() -> None:
    run("""
        exporter.declare()
        exporter._tick(100.35, 100)
        late = [value("hub_lag_seconds_bucket", le=le) for le in ("0.05", "0.1", "0.25", "0.5")]
        assert late == [1, 2 - 1, 3, 4], late
        exporter._tick(4000, 100)
        assert value("hub_lag_seconds_count") == 4 + MAX_TICKS
        exporter._tick(99.9, 100)  # early
        assert value("hub_lag_seconds_sum") > 0
    """)


def test_metrics_are_made_when_they_are_needed() -> None:
    """So that a command of manage.py leaves no files behind."""
    run("""
        import django_websocket.metrics
        assert value("processes") is None
    """)
