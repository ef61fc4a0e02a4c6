"""The demo's URLs, and a view that tells what reached it."""

from __future__ import annotations

import json
import os
import threading

from django.http import HttpRequest, JsonResponse, UnreadablePostError
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

_connection = threading.local()  # of the green thread, which serves one connection for its life


@csrf_exempt
def seen(request: HttpRequest) -> JsonResponse:
    """What the server has made of the request. First of all, its path and its client go to the file JOURNAL."""
    _connection.requests = getattr(_connection, "requests", 0) + 1
    with open(os.environ["JOURNAL"], "a") as journal:
        journal.write(json.dumps([request.path, request.META.get("HTTP_X_FORWARDED_FOR")]) + "\n")
    try:
        body = request.body.decode("latin-1")
    except UnreadablePostError:
        return JsonResponse({"path": request.path}, status=400)
    return JsonResponse(
        {
            "path": request.path,
            "secure": request.is_secure(),
            "host": request.get_host(),
            "remote_addr": request.META["REMOTE_ADDR"],
            "forwarded": {name: value for name, value in request.META.items() if "FORWARDED" in name},
            "body": body,
            "process": os.getpid(),
            "requests": _connection.requests,  # on this connection, so far
        }
    )


urlpatterns = [path("", include("server.urls")), re_path("^seen/", seen)]
