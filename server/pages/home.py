"""The first page."""

from django.shortcuts import render


def page(request):
    return render(request, "pages/home.html")
