"""A group over a websocket, and over server-sent events."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from django_websocket import Group, require_websocket


def page(request):
    if request.method == "POST":
        Group("events").send(f"The server's clock says {timezone.now():%H:%M:%S}.")
        return HttpResponse(status=204)
    return render(request, "pages/events.html")


@require_websocket
def socket(request):
    request.websocket.join("events")
    request.websocket.wait()


def stream(request):
    return Group("events").event_stream(request)
