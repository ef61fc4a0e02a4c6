"""The eventlet hub that the environment selects."""

from __future__ import annotations

import os

__all__ = ["asks_for_asyncio_hub"]


def asks_for_asyncio_hub() -> bool:
    """Whether EVENTLET_HUB names eventlet's asyncio hub, under which Django's ORM refuses to run.

    The variable holds a name (``asyncio``), or a module and a class (``eventlet.hubs.asyncio:Hub``).
    """
    return os.environ.get("EVENTLET_HUB", "").partition(":")[0].rpartition(".")[2].strip() == "asyncio"
