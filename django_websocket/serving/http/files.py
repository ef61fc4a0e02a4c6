"""``wsgi.file_wrapper``: lets the kernel send files."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

__all__ = ["FileWrapper"]


class FileWrapper:
    """Iterates over a file in blocks of ``block_size`` bytes, or exposes it to ``sendfile``."""

    def __init__(self, filelike: Any, block_size: int = 64 * 1024) -> None:
        self.filelike = filelike
        self.block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        while block := self.filelike.read(self.block_size):
            yield block

    def close(self) -> None:
        """Close the file if it has a ``close`` method."""
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()

    def regular_file(self) -> tuple[int, int, int] | None:
        """Return descriptor, position and bytes left if reading ``filelike`` means reading that descriptor, else None.

        Only known types qualify: a GzipFile's fileno(), for example, is that of the compressed file.
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
        # Files in /proc are regular but report a size of 0.
        if not stat.S_ISREG(status.st_mode) or position >= status.st_size:
            return None
        return fd, position, status.st_size - position
