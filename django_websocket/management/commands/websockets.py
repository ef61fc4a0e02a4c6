"""``manage.py websockets``: the URL patterns that take websockets, and on what terms; or those that are open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from ...endpoints import Endpoint, list_endpoints
from ..live_listing import as_json, as_text


class Command(BaseCommand):
    help = "Lists the URL patterns that take websockets, with their views, origins, subprotocols and limits."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="Write JSON objects: a list, or one in each line (--live)."
        )
        parser.add_argument("--live", action="store_true", help="List the open websockets of all processes instead.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["live"]:
            for line in as_json() if options["json"] else as_text():
                self.stdout.write(line)
            return
        endpoints = list(list_endpoints())
        if options["json"]:
            self.stdout.write(json.dumps([asdict(endpoint) for endpoint in endpoints], indent=2))
            return
        if not endpoints:
            self.stdout.write("No URL takes websockets.")
        for endpoint in endpoints:
            self.stdout.write(self.style.MIGRATE_HEADING(endpoint.path))
            for line in self._describe(endpoint):
                self.stdout.write(f"    {line}")

    def _describe(self, endpoint: Endpoint) -> Iterator[str]:
        name = f", named {endpoint.name}" if endpoint.name else ""
        yield f"{endpoint.view}{name}: {'websockets only' if endpoint.required else 'websockets and pages'}"
        yield f"origins: {_origins(endpoint.origins)}"
        if endpoint.subprotocols:
            yield f"subprotocols: {', '.join(endpoint.subprotocols)}"
        for option, value in endpoint.options.items():
            yield f"{option}: {value}"
        if endpoint.problem:
            yield self.style.ERROR(f"opens none: {endpoint.problem}")


def _origins(origins: list[str] | None) -> str:
    if origins is None:
        return ", ".join(["the request's own host", *settings.CSRF_TRUSTED_ORIGINS])
    if "*" in origins:
        return "any"
    return ", ".join(origins) or "none, only clients that are no browsers"
