"""A page, and the four websocket views that it demonstrates."""

from django.http import HttpResponse
from django.shortcuts import render

from django_websocket import Group, accept_websocket, require_websocket


def index(request):
    return render(request, "server/index.html")


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def echo_once(request):
    message = request.websocket.wait()
    request.websocket.send(message)


@require_websocket
def broadcast(request):
    group = Group("broadcast")
    request.websocket.join(group)
    for message in request.websocket:
        group.send(message)


@accept_websocket
def lower_case(request):
    if not request.is_websocket():
        return HttpResponse(request.GET["message"].lower())
    for message in request.websocket:
        request.websocket.send(message.lower())
