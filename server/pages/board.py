"""A drawing board for everybody: short binary messages, many of them."""

from django.shortcuts import render

from django_websocket import Group, require_websocket

SIZE = 14
"""Bytes of a message: seven numbers that only the pages read."""


def page(request):
    return render(request, "pages/board.html")


@require_websocket(max_message_size=SIZE, rate="250/s")
def socket(request):
    group = Group("board")
    request.websocket.join(group)
    for message in request.websocket:
        if isinstance(message, bytes) and len(message) == SIZE:
            group.send(message)
