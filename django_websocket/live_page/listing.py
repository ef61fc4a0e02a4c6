"""All open websockets of all processes, for a process that serves none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .inquiry import Inquiry, Page
from .query import Query

__all__ = ["list_pages"]


def list_pages() -> Iterator[Page]:
    """Yield one page after the other, by path; the first one, which also has the totals, even if it is empty."""
    inquiry = Inquiry(None)
    query = Query()
    try:
        while True:
            page = inquiry.ask(query)
            if page.query != query:
                return  # everything behind the cursor has been closed meanwhile
            yield page
            if page.first + len(page.rows) >= page.matching:
                return
            query = replace(query, cursor=page.rows[-1][0])
    finally:
        inquiry.close()
