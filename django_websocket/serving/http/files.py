"""``wsgi.file_wrapper``: files that the kernel can send."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

__all__ = ["FileWrapper"]


class FileWrapper:
    """``wsgi.file_wrapper``: iterates over a file in blocks, or lets the kernel send it."""

    def __init__(self, filelike: Any, block_size: int = 64 * 1024) -> None:
        self.filelike = filelike
        self.block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        while block := self.filelike.read(self.block_size):
            yield block

    def close(self) -> None:
        """Close the file, if it can be."""
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()

    def regular_file(self) -> tuple[int, int, int] | None:
        """Descriptor, position and bytes left, if that is where reading ``filelike`` would take its bytes
        from.

        Only of types that are known for it: a GzipFile's fileno(), say, is that of the compressed file.
        """
        file = self.filelike
        if type(file) is tempfile._TemporaryFileWrapper:
            file = file.file
        if type(file) not in (io.BufferedReader, io.BufferedRandom, io.FileIO):
            return None
        if isinstance(file, (io.BufferedReader, io.BufferedRandom)) and type(file.raw) is not io.FileIO:
            return None
        try:
            if isinstance(file, io.BufferedRandom):
                file.flush()
            fd, position = file.fileno(), file.tell()
            status = os.fstat(fd)
        except (OSError, ValueError):
            return None
        # Files of /proc are regular, and 0 bytes long until they are read.
        if not stat.S_ISREG(status.st_mode) or position >= status.st_size:
            return None
        return fd, position, status.st_size - position
