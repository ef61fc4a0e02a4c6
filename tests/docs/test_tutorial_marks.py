"""The new lines of a file that changes are marked, and no others."""

from __future__ import annotations

import re
from textwrap import dedent

from tests.docs.pages import BLOCK, Page

CLOSING = re.compile(r"\s*([)}\];]*|</\w+>)")
PAGES = ("1-echo", "2-chat", "3-tests", "4-deployment")


def marked_lines(options: str) -> set[int]:
    found = re.search(r":emphasize-lines: (.+)", options)
    numbers: set[int] = set()
    for part in found[1].split(",") if found else ():
        first, _, last = part.partition("-")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def test_marks() -> None:
    versions: dict[str, list[str]] = {}
    compared = 0
    for name in PAGES:
        for _, _, options, code in BLOCK.findall(Page(f"tutorial/{name}").text):
            caption = re.search(r":caption: (.+)", options)
            if caption is None:
                continue
            lines = dedent(code).strip().splitlines()
            before = versions.get(caption[1])
            versions[caption[1]] = lines
            if before is None:
                continue
            compared += 1
            marked = marked_lines(options)
            new = {number for number, line in enumerate(lines, 1) if line not in before}
            assert new <= marked, (name, caption[1])
            # What closes something new looks like what closes something old.
            assert all(CLOSING.fullmatch(lines[number - 1]) for number in marked - new), (name, caption[1])
    assert compared == 5
