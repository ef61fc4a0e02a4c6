"""``{% load django_websocket %}``: the browser's module on a page."""

from __future__ import annotations

import json

from django import template
from django.template import Context
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from ..compat.django import csp_nonce

register = template.Library()

MODULE = "django-websocket"
SCRIPT = "django_websocket/client.js"

# A storage may add a query, and a script element ends at "</script".
_escapes = {ord(character): f"\\u{ord(character):04X}" for character in "<>&"}


@register.simple_tag(takes_context=True)
def websocket_client(context: Context) -> SafeString:
    """An import map, so that modules of the page can ``import { connect } from "django-websocket"``.

    It must precede them. It has the nonce of the request's Content Security Policy, from Django's middleware or from
    django-csp. A page with an import map of its own puts ``{% static "django_websocket/client.js" %}`` there instead.
    """
    imports = json.dumps({"imports": {MODULE: static(SCRIPT)}}).translate(_escapes)
    nonce = csp_nonce(getattr(context, "request", None) or context.get("request"))
    attribute = "" if nonce is None else format_html(' nonce="{}"', nonce)
    return format_html('<script type="importmap"{}>{}</script>', attribute, mark_safe(imports))
