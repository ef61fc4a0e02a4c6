"""What a page sees when the server goes away and comes back."""

from django.shortcuts import render
from django.utils import timezone

from django_websocket import Group, require_websocket

STARTED = timezone.now()
"""When this process has begun: another one has another time."""


def page(request):
    return render(request, "pages/restart.html")


@require_websocket(max_message_size=100, rate="10/s")
def socket(request):
    """A message says that somebody has pressed the button, whatever else it says."""
    websocket, group = request.websocket, Group("restart")
    joined = websocket.join(group, since=request.GET.get("since", "0"))
    websocket.send_json({"started": STARTED, "complete": joined.complete})
    for _ in websocket:
        group.send_json({"at": timezone.now()})
