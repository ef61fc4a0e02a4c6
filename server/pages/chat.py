"""A page with the four websocket views that it demonstrates, and a chat."""

from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.http import HttpResponse
from django.shortcuts import redirect, render

from django_websocket import Group, accept_websocket, require_websocket, wait_any


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


# The chat


def sign_up(request):
    form = UserCreationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.save())
        return redirect("chat")
    return render(request, "server/form.html", {"form": form, "title": "Sign up", "other": "login"})


@login_required
def chat(request, room="lobby"):
    return render(request, "server/chat.html", {"room": room})


@login_required
@require_websocket
def chat_socket(request, room):
    """Messages go from the group to the browsers; this view only takes what its own browser says."""
    websocket, group, name = request.websocket, Group(f"chat.{room}"), request.user.get_username()
    with group.subscribe(presence=True, messages=False) as comings_and_goings:
        websocket.join(group, info={"name": name}, since=request.GET.get("since", "0"))
        while True:
            websocket.send_json({"here": sorted({member["name"] for member in group.members()})})
            source, message = wait_any(websocket, comings_and_goings)
            while source is websocket and message is not None:
                group.send_json({"name": name, "text": str(message)[:2000]})
                source, message = wait_any(websocket, comings_and_goings)
            if message is None:
                break
            while comings_and_goings.has_messages():
                comings_and_goings.read()
