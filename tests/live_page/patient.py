"""An app: live pages wait for longer than a busy machine keeps any process from answering."""

from __future__ import annotations

from django.apps import AppConfig

from tests.deadlines import deadline


class Patient(AppConfig):
    name = "tests.live_page"
    label = "patient"

    def ready(self) -> None:
        from django_websocket.live_page import inquiry

        inquiry.PATIENCE = deadline(2)
