"""Medians over the rounds, and each server's ratio to ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

Measured = tuple[str, bool, bool, Sequence[Mapping[str, float]], str | None]


@dataclass(frozen=True)
class Row:
    """One server's line. ``ratio`` is how many times better ours is: above 1, ours is ahead."""

    title: str
    ours: bool
    django: bool
    median: float | None = None
    low: float = 0.0
    high: float = 0.0
    ratio: float | None = None
    cpu_ratio: float | None = None  # the same of the processor time for one message
    samples: Mapping[str, float] = field(default_factory=dict)  # the median of each sample
    missing: str | None = None


def medians(samples: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each sample's median over the rounds that have it."""
    names = dict.fromkeys(name for sample in samples for name in sample)
    return {name: median(sample[name] for sample in samples if name in sample) for name in names}


def ratio(ours: float | None, theirs: float | None, *, more_is_better: bool) -> float | None:
    """How many times better ours is; None if either is missing or zero."""
    if not ours or not theirs:
        return None
    return ours / theirs if more_is_better else theirs / ours


def summarize(cells: Sequence[Measured], figure: str, *, more_is_better: bool) -> list[Row]:
    """A row for each (title, ours, django, samples, missing), the best first and the missing last."""
    middles = [medians(samples) for _, _, _, samples, _ in cells]
    own: Mapping[str, float] = next((m for m, cell in zip(middles, cells, strict=True) if cell[1]), {})
    rows = []
    for (title, ours, django, samples, missing), middle in zip(cells, middles, strict=True):
        values = [sample[figure] for sample in samples]
        if not values:
            rows.append(Row(title, ours, django, missing=missing or "not measured"))
            continue
        rows.append(
            Row(
                title,
                ours,
                django,
                median=middle[figure],
                low=min(values),
                high=max(values),
                ratio=ratio(own.get(figure), middle[figure], more_is_better=more_is_better),
                cpu_ratio=ratio(own.get("cpu_us"), middle.get("cpu_us"), more_is_better=False),
                samples=middle,
                missing=missing,
            )
        )

    def order(row: Row) -> tuple[bool, float]:
        value = row.median or 0.0
        return row.median is None, -value if more_is_better else value

    return sorted(rows, key=order)
