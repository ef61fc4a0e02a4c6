"""The demo's URLs, and a view that tells what reached it."""

from __future__ import annotations

import json
import os
import threading

from django.http import HttpRequest, JsonResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

_connection = threading.local()  # of the green thread, which serves one connection for its life


@csrf_exempt
def seen(request: HttpRequest) -> JsonResponse:
    """What the server has made of the request; a line of it goes to the file JOURNAL, if there is one."""
    _connection.requests = getattr(_connection, "requests", 0) + 1
    told = {
        "method": request.method,
        "path": request.path,
        "secure": request.is_secure(),
        "host": request.get_host(),
        "remote_addr": request.META["REMOTE_ADDR"],
        "forwarded": {name: value for name, value in request.META.items() if "FORWARDED" in name},
        "body": request.body.decode("latin-1"),
        "process": os.getpid(),
        "requests": _connection.requests,  # on this connection, so far
    }
    if journal := os.environ.get("JOURNAL"):
        with open(journal, "a") as file:
            file.write(json.dumps(told) + "\n")
    return JsonResponse(told)


urlpatterns = [path("", include("server.urls")), re_path("^seen/", seen)]
