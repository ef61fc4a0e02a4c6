"""What wstest found out: it exits with 0 whether cases failed or not, so its index is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CASES", "Verdict", "judge", "read_index"]

#: All cases of sections 1 to 7, 9, 10, 12 and 13.
CASES = 517

_GOOD = {"OK", "INFORMATIONAL"}


@dataclass
class Verdict:
    """The sum of one run."""

    counts: Counter[str] = field(default_factory=Counter)
    """How many cases behaved in each way."""
    problems: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The summary, the worst last."""
        yield ", ".join(f"{count} {behavior}" for behavior, count in sorted(self.counts.items())) or "no case was run"
        yield from self.problems
        yield f"{sum(self.counts.values())} cases, {'FAILED' if self.problems else 'passed'}"


def read_index(path: Path) -> dict[str, dict[str, str]]:
    """The cases in wstest's index.json, which holds one agent."""
    agents = json.loads(path.read_text()) if path.exists() else {}
    return next(iter(agents.values()), {})


def judge(cases: dict[str, dict[str, str]], expected: int | None = CASES) -> Verdict:
    """Count the cases; a problem is any that is not OK or INFORMATIONAL, in how it went or how it closed.

    So is another number of cases than ``expected``, unless that is None.
    """
    verdict = Verdict()
    for number in sorted(cases, key=lambda number: [int(part) for part in number.split(".")]):
        behavior, closing = cases[number].get("behavior", "NONE"), cases[number].get("behaviorClose", "NONE")
        verdict.counts[behavior if closing in _GOOD else closing] += 1
        if behavior not in _GOOD or closing not in _GOOD:
            verdict.problems.append(f"case {number}: {behavior}, closing: {closing}")
    if expected is not None and len(cases) != expected:
        verdict.problems.append(f"{len(cases)} cases were run, not {expected}")
    return verdict
