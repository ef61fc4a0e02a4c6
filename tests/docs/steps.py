"""What a page of the tutorial tells its reader to do, in its order."""

from __future__ import annotations

import re
from typing import NamedTuple

from .pages import BLOCK, Page

__all__ = ["Command", "File", "Step", "read_steps"]

HEADING = re.compile(r"^(\S.*)\n-+\n", re.MULTILINE)
LANGUAGES = {"python", "html+django", "nginx"}


class File(NamedTuple):
    """A file to write."""

    section: str
    path: str
    part: str
    """Nothing for the whole file; "at the end", or the name to which the code assigns."""
    code: str


class Command(NamedTuple):
    """A command to type, and what it should print, if the page tells."""

    section: str
    line: str
    output: str


Step = File | Command


def read_steps(name: str) -> list[Step]:
    """The steps of the page ``name``. Its code must be files with a caption, or commands, or text."""
    page = Page(name)
    headings = [(found.start(), found[1]) for found in HEADING.finditer(page.text)]
    starts = [found.start() for found in BLOCK.finditer(page.text)]
    assert len(starts) == page.text.count("code-block::"), "a block that is not understood"
    steps: list[Step] = []
    for start, block in zip(starts, page.blocks, strict=True):
        section = [title for place, title in headings if place < start][-1]
        if block.language == "console":
            steps += _commands(section, block.code)
        elif block.language != "text":
            assert block.language in LANGUAGES, f"what is {block.language}?"
            path, _, part = block.caption.partition(", ")
            assert path, f"a file without a name: {block.code}"
            steps.append(File(section, path, part, block.code))
    return steps


def _commands(section: str, text: str) -> list[Command]:
    """A command begins with "$ ", and goes on behind a backslash; other lines are output."""
    first, *others = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not first, f"output of nothing: {first}"
    commands = []
    for other in others:
        found = re.fullmatch(r"((?:.*\\\n)*.*\n)((?:.*\n)*)", other)
        assert found is not None
        commands.append(Command(section, found[1].strip(), found[2]))
    return commands
