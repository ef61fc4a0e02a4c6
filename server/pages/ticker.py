"""Headlines that are published over plain HTTP, or from the shell, and pushed to every open page."""

from django import forms
from django.conf import settings
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from django_websocket import Group, require_websocket


class HeadlineForm(forms.Form):
    text = forms.CharField(label="Headline", max_length=200)


def publish(text):
    """Any code may call this: a view, a task, a management command, the shell."""
    Group("ticker").send_json({"text": text, "at": timezone.now()}, on_commit=True)


def page(request):
    """Everybody may read; who is logged in may publish."""
    form = HeadlineForm(request.POST or None)
    if request.method == "POST":
        if not request.user.is_authenticated:
            raise PermissionDenied
        if form.is_valid():
            publish(form.cleaned_data["text"])
            return redirect("ticker")
    shared = "LOCATION" in settings.WEBSOCKET_GROUPS
    token = signing.dumps(request.user.pk, salt="ticker") if request.user.is_authenticated else None
    return render(request, "pages/ticker.html", {"form": form, "shared": shared, "token": token})


@csrf_exempt  # a cookie opens nothing here: the token does
@require_POST
def publish_with_token(request):
    try:
        signing.loads(request.headers.get("Authorization", "").removeprefix("Bearer "), salt="ticker", max_age=3600)
    except signing.BadSignature:
        return HttpResponse("This takes the token of the page, for an hour.\n", status=401, content_type="text/plain")
    form = HeadlineForm(request.POST)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    publish(form.cleaned_data["text"])
    return HttpResponse(status=204)


@require_websocket
def socket(request):
    request.websocket.join("ticker", since=request.GET.get("since", "0"))
    request.websocket.wait()  # until it is closed: the group sends, and the page has nothing to say
