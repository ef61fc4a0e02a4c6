"""The page in the admin, and who may see it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from ..decorators import require_websocket
from ..groups.memory import MemoryBackend
from ..groups.receivers import receivers
from ..request import WebSocketRequest
from .census import census
from .columns import COLUMNS
from .models import WebSocket
from .viewer import Viewer

__all__ = ["WebSocketAdmin"]

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[WebSocket]
else:
    ModelAdmin = admin.ModelAdmin  # which is generic for type checkers only

MAX_MESSAGE_SIZE = 4096
"""Bytes; a page sends short questions only."""


@admin.register(WebSocket)
class WebSocketAdmin(ModelAdmin):
    """In place of a list of database rows, the page. Its URL is that of any model's list."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: WebSocket | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: WebSocket | None = None) -> bool:
        return False

    def has_close_permission(self, request: HttpRequest) -> bool:
        """Whether the user may close websockets."""
        return request.user.has_perm(f"{self.opts.app_label}.close_{self.opts.model_name}")

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        socket: Any = require_websocket(max_message_size=MAX_MESSAGE_SIZE, compression=True)(self.socket)
        return [
            path("", self._guarded(self.changelist_view), name=f"{name}_changelist"),
            path("socket/", self._guarded(socket), name=f"{name}_socket"),
        ]

    def _guarded(self, view: Callable[..., Any]) -> Callable[..., HttpResponseBase]:
        """Send the anonymous to the login, as all of the admin does; who has logged in may see it, or gets a 403."""
        inner: Callable[..., HttpResponseBase] = self.admin_site.admin_view(view)

        @wraps(inner)
        def guarded(request: HttpRequest) -> HttpResponseBase:
            if request.user.is_authenticated and not self._may(request, "view"):
                raise PermissionDenied
            return inner(request)

        return guarded

    def _may(self, request: HttpRequest, action: str) -> bool:
        if not (self.admin_site.has_permission(request) and self.has_view_permission(request)):
            return False
        return action == "view" or self.has_close_permission(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The page, without a websocket in it yet."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_socket"
        context = {
            **self.admin_site.each_context(request),
            "title": "Open websockets",
            "opts": self.opts,
            "columns": COLUMNS.values(),
            "may_close": self.has_close_permission(request),
            "socket_url": reverse(name, current_app=self.admin_site.name),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "live_websockets/page.html", context)

    def socket(self, request: WebSocketRequest) -> None:
        """The page's websocket."""
        websocket = request.websocket
        assert websocket is not None, "that is required"
        user_id: Any = request.user.pk
        by = f"{request.user.get_username()} (#{user_id})"
        is_alone = bool(request.META.get("wsgi.multiprocess")) and isinstance(receivers.backend, MemoryBackend)

        def may(action: str) -> bool:
            try:
                # Another object, as the one that is there remembers its permissions.
                request.user = get_user_model()._default_manager.get(pk=user_id)
            except ObjectDoesNotExist:
                return False
            return self._may(request, action)

        websocket.accept()
        Viewer(websocket, census, by, may, is_alone=is_alone).run()
