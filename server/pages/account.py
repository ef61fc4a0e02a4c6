"""Signing up, for those who chat and publish. Logging in and out are Django's own views."""

from django.contrib.auth import login
from django.contrib.auth.forms import UserCreationForm
from django.shortcuts import redirect, render


def sign_up(request):
    form = UserCreationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.save())
        return redirect("chat")
    return render(request, "pages/account.html", {"form": form, "title": "Sign up"})
