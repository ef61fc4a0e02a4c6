"""A vote is saved, and the result is rendered once and sent to every open page."""

from django.db.models import F, Sum
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string

from django_websocket import Group, require_websocket

from .models import Choice


def results():
    choices = Choice.objects.order_by("pk")
    total = choices.aggregate(votes=Sum("votes"))["votes"] or 0
    return {"choices": choices, "total": total}


def page(request):
    if request.method == "POST":
        choice = get_object_or_404(Choice, label=request.POST.get("choice"))
        Choice.objects.filter(pk=choice.pk).update(votes=F("votes") + 1)
        group = Group("poll")
        group.send_template("pages/poll_results.html", results(), on_commit=True)
        if "HX-Request" in request.headers:
            return HttpResponse(status=204)
        return redirect("poll")
    return render(request, "pages/poll.html", results())


@require_websocket
def socket(request):
    request.websocket.join("poll")
    sent = None
    # How it stands; and again, if it has changed before that was sent.
    while sent != (now := render_to_string("pages/poll_results.html", results())):
        request.websocket.send(now)
        sent = now
    request.websocket.wait()
