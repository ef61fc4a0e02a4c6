"""From samples to tables and charts. Pure but for :func:`write` and :mod:`.machine`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..servers import OURS, SERVERS
from ..workloads import WORKLOADS
from .charts import Bar, bars
from .machine import Machine, machine
from .summary import Row, summarize
from .tables import document

if TYPE_CHECKING:
    from ..rounds import Cell, Plan

__all__ = ["machine", "write"]


def write(plan: Plan, cells: Sequence[Cell], on: Machine, folder: Path) -> str:
    """Write results.json, results.rst and one SVG for each workload into ``folder``; the RST document."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.svg"):
        stale.unlink()
    tables: list[tuple[str, list[Row]]] = []
    for workload in plan.workloads:
        mine = [cell for cell in cells if cell.workload == workload.name]
        rows = summarize(
            [(SERVERS[c.server].title, c.server == OURS, SERVERS[c.server].django, c.samples, c.missing) for c in mine],
            workload.figure.sample,
            more_is_better=workload.figure.more_is_better,
        )
        if rows:
            tables.append((workload.name, rows))
            if any(row.median is not None for row in rows):
                (folder / f"{workload.name}.svg").write_text(chart(workload.name, rows))
    # The actual rounds, not the planned ones: the longest workloads run once, and the run may have had a time limit.
    counts = [len(cell.samples) for cell in cells if cell.samples] or [0]
    text = document(tables, on, fewest=min(counts), most=max(counts), duration=plan.duration)
    (folder / "results.rst").write_text(text)
    results = {
        "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": asdict(on),
        "rounds": max(counts),
        "duration": plan.duration,
        "cells": [asdict(cell) for cell in cells],
    }
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return text


def chart(name: str, rows: Sequence[Row]) -> str:
    """The chart of one workload, the best on top."""
    workload = WORKLOADS[name]
    best = "more is better" if workload.figure.more_is_better else "less is better"
    return bars(
        workload.title,
        f"{workload.figure.label}, {best}",
        [Bar(row.title, row.median, row.low, row.high, row.ours) for row in rows if row.median is not None],
    )
