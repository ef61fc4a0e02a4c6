"""The hub that the environment tells eventlet to use."""

from __future__ import annotations

import os

__all__ = ["asks_for_asyncio_hub"]


def asks_for_asyncio_hub() -> bool:
    """Whether EVENTLET_HUB names eventlet's hub on asyncio, below which Django's ORM refuses to work.

    The variable holds a name (``asyncio``), or a module and a class (``eventlet.hubs.asyncio:Hub``).
    """
    return os.environ.get("EVENTLET_HUB", "").partition(":")[0].rpartition(".")[2].strip() == "asyncio"
