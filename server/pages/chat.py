"""Rooms, who is in them, and what was said before."""

from django.contrib.auth.decorators import login_required
from django.shortcuts import render

from django_websocket import Group, require_websocket, wait_any


@login_required
def page(request, room="lobby"):
    return render(request, "pages/chat.html", {"room": room})


@login_required
@require_websocket(max_message_size=8000, rate="10/s")
def socket(request, room):
    """The group sends to the browsers; this view takes what its own browser says."""
    websocket, group = request.websocket, Group(f"chat.{room}")
    name, since = request.user.get_username(), request.GET.get("since", "0")
    with group.subscribe(presence=True, messages=False) as comings_and_goings:
        websocket.join(group, info={"name": name}, since=since)
        while True:
            names = {member["name"] for member in group.members()}
            websocket.send_json({"here": sorted(names)})
            source, message = wait_any(websocket, comings_and_goings)
            while source is websocket and message is not None:
                group.send_json({"name": name, "text": str(message)[:2000]})
                source, message = wait_any(websocket, comings_and_goings)
            if message is None:
                break
            while comings_and_goings.has_messages():
                comings_and_goings.read()
