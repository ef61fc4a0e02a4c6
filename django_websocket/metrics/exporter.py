"""Copies the figures of this process into metrics of prometheus-client, where whatever it knows of can read them.

They are the library's own metrics, rather than a collector of ours, because only these are shared by several processes.
In a single process they are brought up to date whenever the library collects.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..groups.events import new_event
from ..home import at_home
from ..hub_lag import TICK, lag_meter
from .declarations import DECLARATIONS, PREFIX, Declaration, Kind
from .figures import Figures, figures
from .sharing import Sharing, sharing

__all__ = ["Exporter", "exporter"]

logger = logging.getLogger("django_websocket")

MAX_TICKS = 100
"""Ticks that a late one stands for, at most: a process may have been stopped for hours."""

UNASKED_SECONDS = 60.0
"""Seconds after which shared figures are written though nobody has asked: what a process that is killed can lose."""


class Exporter:
    """The metrics of ``figures``, which are made once they are needed."""

    def __init__(self, figures: Figures, sharing: Sharing | None) -> None:
        self._figures = figures
        self._sharing = sharing
        self._metrics: dict[str, Any] = {}
        self._counted: dict[tuple[str, tuple[str, ...]], float] = {}
        self._gauges: set[tuple[str, tuple[str, ...]]] = set()
        self._written = 0.0
        self._is_failing = False

    def declare(self) -> None:
        """Make the metrics, unless they are there."""
        if self._metrics:
            return
        if self._sharing is None:
            # The first one that is collected.
            REGISTRY.register(_Refresher(self))
        self._metrics = {name: _make(declaration) for name, declaration in DECLARATIONS.items()}

    # In any thread

    def refresh(self) -> None:
        """Bring the metrics up to date."""
        at_home(self._refresh)

    # In the scheduler's

    def _refresh(self) -> None:
        self.declare()
        values = self._figures.read(_let_others_run)
        for name, by_labels in values.items():
            for labels, value in by_labels.items():
                if DECLARATIONS[PREFIX + name].kind is Kind.COUNTER:
                    self._count(name, labels, value)
                else:
                    self._gauges.add((name, labels))
                    self._child(name, labels).set(value)
        for name, labels in self._gauges:
            if labels not in values.get(name, ()):
                self._child(name, labels).set(0)
        self._take_durations()

    def _count(self, name: str, labels: tuple[str, ...], value: float) -> None:
        counted = self._counted.get((name, labels), 0)
        # Less, if another refresh began later and was faster.
        if value > counted or (name, labels) not in self._counted:
            self._counted[name, labels] = value
            self._child(name, labels).inc(value - counted)

    def _child(self, name: str, labels: tuple[str, ...]) -> Any:
        metric = self._metrics[PREFIX + name]
        return metric.labels(*labels) if labels else metric

    def _take_durations(self) -> None:
        durations = self._figures.durations
        while durations:
            route, seconds = durations.popleft()
            self._child("view_seconds", (route,)).observe(seconds)

    def run(self) -> None:
        """The job of the server: count how late its hub is, and share figures when somebody asks, until killed."""
        self.declare()
        self._figures.processes = 1
        if self._sharing is not None:
            self._sharing.join()
        try:
            with lag_meter.following(self._on_tick):
                new_event().wait()
        finally:
            self._figures.processes = 0
            self._finish()

    def _on_tick(self, now: float, due: float) -> None:
        try:
            self._tick(now, due)
            self._is_failing = False
        except Exception:
            if not self._is_failing:
                logger.exception("Could not write figures; will retry")
            self._is_failing = True

    def _tick(self, now: float, due: float) -> None:
        lag = self._child("hub_lag_seconds", ())
        # While one was late, others would have been, too.
        for late in range(min(1 + int((now - due) / TICK), MAX_TICKS)):
            lag.observe(max(now - due - late * TICK, 0.0))
        self._take_durations()
        if self._sharing is None:
            return
        question = self._sharing.question()
        if question is not None or now - self._written > UNASKED_SECONDS:
            self._written = now
            self._refresh()
        if question is not None:
            self._sharing.answer(question)

    def _finish(self) -> None:
        try:
            self._refresh()
            if self._sharing is not None:
                self._sharing.leave()
        except Exception:
            logger.exception("Could not write the last figures")


class _Refresher(Collector):
    """Registered with prometheus-client in order to be asked; has no metrics itself."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        self._exporter.refresh()
        return []


def _let_others_run() -> None:
    time.sleep(0)


def _make(declaration: Declaration) -> Any:
    name, doc, labels = declaration.name, declaration.doc, declaration.labels
    match declaration.kind:
        case Kind.COUNTER:
            return Counter(name, doc, labels)
        case Kind.GAUGE:
            return Gauge(name, doc, labels, multiprocess_mode="livesum")
        case Kind.HISTOGRAM:
            return Histogram(name, doc, labels, buckets=declaration.buckets)


exporter = Exporter(figures, sharing)
"""That of this process."""
