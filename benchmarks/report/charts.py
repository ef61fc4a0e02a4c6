"""Horizontal bar charts as SVG: small, without scripts, readable on light and dark pages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from .tables import number

WIDTH, LABELS, VALUES, TOP, STEP, HEIGHT = 760, 250, 90, 58, 28, 18
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-size:16px;font-weight:600}.unit{fill:#57606a}"
    ".ours{font-weight:600}.bar{fill:#9aa7b4}.bar.ours{fill:#0c7a5f}.range{stroke:#24292f;stroke-width:1.5}"
    ".axis{stroke:#d0d7de}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.unit{fill:#9198a1}.bar{fill:#5c6773}.bar.ours{fill:#2fbf95}"
    ".range{stroke:#e6edf3}.axis{stroke:#3d444d}}"
)


class Bar(NamedTuple):
    """A median with its lowest and highest round."""

    title: str
    value: float
    low: float
    high: float
    ours: bool = False


def bars(title: str, unit: str, data: Sequence[Bar]) -> str:
    """The chart; all bars begin at 0, the thin line on a bar spans the rounds."""
    most = max((bar.high for bar in data), default=0.0) or 1.0
    scale = (WIDTH - LABELS - VALUES) / most
    height = TOP + STEP * len(data) + 8
    spoken = "; ".join(f"{bar.title}: {number(bar.value)}" for bar in data)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(title)}</title>',
        f"<desc>{escape(f'{unit}. {spoken}')}</desc><style>{STYLE}</style>",
        f'<text class="title" x="0" y="18">{escape(title)}</text><text class="unit" x="0" y="38">{escape(unit)}</text>',
        f'<line class="axis" x1="{LABELS}" y1="{TOP - 8}" x2="{LABELS}" y2="{height - 4}"/>',
    ]
    for place, bar in enumerate(data):
        top = TOP + place * STEP
        middle, text = top + HEIGHT / 2, top + HEIGHT / 2 + 4.5
        own = " ours" if bar.ours else ""
        length = max(bar.value * scale, 1.0)
        parts.append(
            f'<text class="label{own}" x="{LABELS - 8}" y="{text:.1f}" text-anchor="end">{escape(bar.title)}</text>'
            f'<rect class="bar{own}" x="{LABELS}" y="{top}" width="{length:.1f}" height="{HEIGHT}" rx="2"/>'
        )
        if bar.high > bar.low:
            ends = LABELS + max(bar.low, 0.0) * scale, LABELS + bar.high * scale
            parts.append(f'<path class="range" d="M{ends[0]:.1f} {middle:.1f}H{ends[1]:.1f}"/>')
        after = LABELS + max(length, bar.high * scale) + 6
        parts.append(f'<text class="value{own}" x="{after:.1f}" y="{text:.1f}">{number(bar.value)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
