"""A plain page, as Django applications have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import render

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


def page(request: HttpRequest) -> HttpResponse:
    """Greets the user (so the session and the user are looked up) above a short list."""
    name = request.user.get_username() or "stranger"
    return render(request, "page.html", {"name": name, "rows": range(5)})
