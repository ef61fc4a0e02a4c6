"""Middleware that notes when it is passed, and that does what the query string asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import async_only_middleware

from .journal import journal

Next = Callable[[HttpRequest], HttpResponse]


def recorder(get_response: Next) -> Next:
    """The outermost: ``?replace``, ``?fail`` spoil the 101, ``?delay`` holds it back for as many seconds,
    ``?delay_close`` what comes behind it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        journal.append(f"response {response.status_code}")
        if "delay" in request.GET:
            time.sleep(float(request.GET["delay"]))
        if "delay_close" in request.GET:
            response._resource_closers.append(  # type: ignore[attr-defined]  # not in the stubs
                lambda: time.sleep(float(request.GET["delay_close"]))
            )
        if response.status_code == 101:
            response["X-Recorded"] = "yes"
            if "replace" in request.GET:
                return HttpResponse("replaced", status=418)
            if "fail" in request.GET:
                raise ValueError("on purpose, in a middleware")
        return response

    return middleware


@async_only_middleware
def asynchronous(get_response: Any) -> Any:
    """What a project may have among its plain middleware."""

    async def middleware(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0.001)
        response: HttpResponse = await get_response(request)
        response["X-Asynchronous"] = "yes"
        return response

    return middleware


def environment(get_response: Next) -> Next:
    """The innermost: what a view finds set up by those that ran before it."""

    def middleware(request: Any) -> HttpResponse:
        if "untouched" not in request.GET:
            request.outer_connection = connections["default"]
        if "zone" in request.GET:
            timezone.activate(request.GET["zone"])
        if "urlconf" in request.GET:
            request.urlconf = "tests.site.other_urls"
        return get_response(request)

    return middleware
