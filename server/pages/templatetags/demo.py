"""What frames each page: the list of all, and the source of this one."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

from django import template
from django.template.context import Context

from ..contents import PAGES, Page

register = template.Library()

PROJECT = Path(__file__).resolve().parent.parent.parent.parent


@register.simple_tag
def pages() -> tuple[Page, ...]:
    """All of them, in the order of the navigation."""
    return PAGES


@register.inclusion_tag("pages/sources.html", takes_context=True)
def sources(context: Context) -> dict[str, Any]:
    """The module of the view that answers, and the template that it has rendered."""
    module = sys.modules[context["request"].resolver_match.func.__module__]
    shown = context.template
    assert shown is not None, "a tag is rendered in a template"
    files = [(module.__file__, inspect.getsource(module)), (shown.origin.name, shown.source)]
    return {"files": [(Path(str(name)).relative_to(PROJECT), text.strip()) for name, text in files]}
