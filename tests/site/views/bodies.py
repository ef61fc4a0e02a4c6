"""Request bodies."""

from __future__ import annotations

import encodings
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

VIEWS = ("whole", "form", "ignored", "encodings_known")


@csrf_exempt
def whole(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body)


@csrf_exempt
def form(request: HttpRequest) -> JsonResponse:
    files: Any = request.FILES
    found = {name: [file.name, file.read().decode()] for name, file in files.items()}
    return JsonResponse({"fields": request.POST.dict(), "files": found})


@csrf_exempt
def ignored(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.META.get("HTTP_X_NUMBER", ""))


def encodings_known(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(vars(encodings)["_cache"])))
