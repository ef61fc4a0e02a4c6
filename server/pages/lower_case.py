"""One view for websockets and for plain HTTP."""

from django.http import HttpResponse
from django.shortcuts import render

from django_websocket import accept_websocket


def page(request):
    return render(request, "pages/lower_case.html")


@accept_websocket
def lower_case(request):
    if not request.is_websocket():
        return HttpResponse(request.GET["message"].lower(), content_type="text/plain")
    for message in request.websocket:
        request.websocket.send(message.lower())
