"""What one says, all hear: the sender, too."""

from django.shortcuts import render

from django_websocket import Group, require_websocket


def page(request):
    return render(request, "pages/broadcast.html")


@require_websocket(max_message_size=4096, rate="10/s")
def broadcast(request):
    group = Group("broadcast")
    request.websocket.join(group)
    for message in request.websocket:
        group.send(message)
