"""What is sent comes back."""

from django.shortcuts import render

from django_websocket import require_websocket


def page(request):
    return render(request, "pages/echo.html")


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def echo_once(request):
    message = request.websocket.wait()
    request.websocket.send(message)
