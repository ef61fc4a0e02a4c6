"""How the processes of a site speak about their websockets: over groups whose names no project's code can use."""

from __future__ import annotations

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from ..groups.message import BINARY, GroupMessage
from ..groups.receivers import receivers
from ..groups.subscription import Subscription

__all__ = ["CONTROL", "listen", "post"]

CONTROL = "!live-websockets"
"""Where questions and orders go. The name of a group has no exclamation mark, so no client can get into this one."""


class _Wire:
    """As much of a group as a subscription needs."""

    def __init__(self, name: str) -> None:
        self.name = name


def listen(name: str) -> Subscription:
    """Get what is posted at ``name`` from now on. Raises :exc:`.GroupsUnavailable`."""
    return Subscription(_Wire(name), None)


def post(name: str, obj: Any) -> None:
    """Send ``obj`` as JSON to whoever listens at ``name``. Raises :exc:`.GroupsUnavailable`."""
    body = json.dumps(obj, cls=DjangoJSONEncoder).encode()
    receivers.backend.publish(GroupMessage(name, BINARY, body), None)
