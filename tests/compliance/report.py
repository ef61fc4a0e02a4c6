"""What wstest found out: it exits with 0 whether cases failed or not, so its index is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CASES", "Verdict", "failed", "judge", "read_index"]

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


def failed(cases: dict[str, dict[str, str]]) -> list[str]:
    """The numbers of those that are not OK or INFORMATIONAL, in how they went or how they closed."""
    bad = [number for number, case in cases.items() if not set(_behaviors(case)) <= _GOOD]
    return sorted(bad, key=_order)


def _behaviors(case: dict[str, str]) -> tuple[str, str]:
    return case.get("behavior", "NONE"), case.get("behaviorClose", "NONE")


def _order(number: str) -> list[int]:
    return [int(part) for part in number.split(".")]


def judge(cases: dict[str, dict[str, str]], expected: int | None = CASES) -> Verdict:
    """Count the cases; a problem is any that has failed.

    So is another number of cases than ``expected``, unless that is None.
    """
    verdict = Verdict()
    for case in cases.values():
        behavior, closing = _behaviors(case)
        verdict.counts[behavior if closing in _GOOD else closing] += 1
    for number in failed(cases):
        behavior, closing = _behaviors(cases[number])
        verdict.problems.append(f"case {number}: {behavior}, closing: {closing}")
    if expected is not None and len(cases) != expected:
        verdict.problems.append(f"{len(cases)} cases were run, not {expected}")
    return verdict
