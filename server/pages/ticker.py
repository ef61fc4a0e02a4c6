"""Headlines are published over HTTP, or from the shell, and pushed to every page."""

from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import signing
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
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
    user, form = request.user, HeadlineForm(request.POST or None)
    if request.method == "POST":
        if not user.is_authenticated:
            raise PermissionDenied
        if form.is_valid():
            publish(form.cleaned_data["text"])
            return redirect("ticker")
    token = signing.dumps(user.pk, salt="ticker") if user.is_authenticated else None
    shared = "LOCATION" in settings.WEBSOCKET_GROUPS
    context = {"form": form, "token": token, "shared": shared}
    return render(request, "pages/ticker.html", context)


@csrf_exempt  # a cookie opens nothing here: the token does
@require_POST
def publish_with_token(request):
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        pk = signing.loads(token, salt="ticker", max_age=3600)
        get_user_model().objects.get(pk=pk, is_active=True)
    except (signing.BadSignature, ObjectDoesNotExist):
        return JsonResponse({"token": ["It is wrong, or too old."]}, status=401)
    form = HeadlineForm(request.POST)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    publish(form.cleaned_data["text"])
    return HttpResponse(status=204)


@require_websocket
def socket(request):
    request.websocket.join("ticker", since=request.GET.get("since", "0"))
    request.websocket.wait()  # until it is closed: the page has nothing to say
