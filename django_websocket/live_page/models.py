"""What the admin needs in order to list the page, and to give permissions for it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

__all__ = ["WebSocket"]


class _NoRows(models.Manager["WebSocket"]):
    """There is no table: ``dumpdata`` and the like must not ask for one."""

    def get_queryset(self) -> models.QuerySet[WebSocket]:
        return super().get_queryset().none()


class WebSocket(models.Model):
    """Has no table. ``migrate`` makes its permissions."""

    objects: ClassVar[models.Manager[WebSocket]] = _NoRows()

    class Meta:
        managed = False
        base_manager_name = "objects"
        verbose_name = "open websocket"
        default_permissions = ("view",)
        permissions = [("close_websocket", "Can close open websocket")]
