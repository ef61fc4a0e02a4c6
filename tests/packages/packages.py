"""The packages that are tried, each with what a project adds for it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

__all__ = ["PACKAGES", "Package", "installed_version"]


@dataclass(frozen=True)
class Package:
    """A distribution, what it must still do, and the code that is added to a project's settings and views."""

    name: str
    proof: str
    """What was seen to work, beside a page and websockets, as docs/reference/packages.rst says it."""
    settings: str = ""
    views: str = ""
    """``more`` is a dictionary of views by their paths."""


def installed_version(name: str) -> str | None:
    """The installed version of a distribution; None if it isn't installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


PACKAGES = {
    package.name: package
    for package in (
        Package(
            "celery",
            "A task's result reaches a view and a websocket view (eager tasks)",
            views="""
from celery import Celery
app = Celery("mysite", set_as_current=False)
app.conf.task_always_eager = True

@app.task
def add(a, b):
    return a + b

def result(request):
    return HttpResponse(str(add.delay(1, 2).get()))

@require_websocket
def result_socket(request):
    for message in request.websocket:
        request.websocket.send(str(add.delay(int(message), 2).get()))

more = {"result/": result, "result-socket/": result_socket}
""",
        ),
        Package(
            "django-allauth",
            "Signing up by its form; the websocket knows the user",
            settings="""
INSTALLED_APPS += ["allauth", "allauth.account"]
MIDDLEWARE += ["allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
ACCOUNT_EMAIL_VERIFICATION = "none"
LOGIN_REDIRECT_URL = "/page/"
""",
            views="""
from django.contrib.auth.decorators import login_required
from django.urls import include

@require_websocket
@login_required
def who(request):
    request.websocket.send(request.user.username)

more = {"accounts/": include("allauth.urls"), "who/": who}
""",
        ),
        Package(
            "django-cors-headers",
            "The headers of a page that another origin asks for, and of a preflight",
            settings="""
INSTALLED_APPS += ["corsheaders"]
MIDDLEWARE.insert(0, "corsheaders.middleware.CorsMiddleware")
CORS_ALLOWED_ORIGINS = ["https://friend.example"]
""",
        ),
        Package(
            "django-csp",
            "The header of a page, with its nonce",
            settings="""
INSTALLED_APPS += ["csp"]
MIDDLEWARE += ["csp.middleware.CSPMiddleware"]
from csp.constants import NONCE, SELF
CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"default-src": [SELF], "script-src": [SELF, NONCE]}}
""",
            views="""
def nonce(request):
    return HttpResponse(str(request.csp_nonce))

more = {"nonce/": nonce}
""",
        ),
        Package(
            "django-debug-toolbar",
            "The toolbar in a page, with its panel of SQL",
            settings="""
INSTALLED_APPS += ["debug_toolbar"]
MIDDLEWARE.insert(0, "debug_toolbar.middleware.DebugToolbarMiddleware")
INTERNAL_IPS = ["127.0.0.1"]
""",
            views="""
from debug_toolbar.toolbar import debug_toolbar_urls
more = {}
more_patterns = debug_toolbar_urls()
""",
        ),
        Package(
            "django-htmx",
            "request.htmx, in a view and in a websocket view",
            settings="""
INSTALLED_APPS += ["django_htmx"]
MIDDLEWARE += ["django_htmx.middleware.HtmxMiddleware"]
""",
            views="""
def htmx(request):
    return HttpResponse(str(bool(request.htmx)))

@require_websocket
def htmx_socket(request):
    request.websocket.send(str(bool(request.htmx)))

more = {"htmx/": htmx, "htmx-socket/": htmx_socket}
""",
        ),
        Package(
            "django-redis",
            "Its cache, from a view and from websocket views, against a Redis server",
            settings="""
import os
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": os.environ["TEST_REDIS"]}}
""",
            views="""
from django.core.cache import cache

def seen(request):
    return HttpResponse(str(cache.get("messages", 0)))

@require_websocket
def counts(request):
    for message in request.websocket:
        cache.get_or_set("messages", 0, None)
        request.websocket.send(str(cache.incr("messages")))

more = {"seen/": seen, "counts/": counts}
""",
        ),
        Package(
            "django-silk",
            "A request and its SQL recorded; handshakes, too",
            settings="""
INSTALLED_APPS += ["silk"]
MIDDLEWARE.insert(0, "silk.middleware.SilkyMiddleware")
""",
            views="""
from django.contrib.auth.models import User
from django.urls import include

def query(request):
    return HttpResponse(str(User.objects.count()))

def recorded(request):
    from silk.models import Request
    found = Request.objects.filter(path=request.GET["path"])
    return JsonResponse([[one.response.status_code, one.num_sql_queries] for one in found], safe=False)

more = {"query/": query, "recorded/": recorded, "silk/": include("silk.urls", namespace="silk")}
""",
        ),
        Package(
            "djangorestframework",
            "An API view, and an API view that is a websocket",
            settings='INSTALLED_APPS += ["rest_framework"]\n',
            views="""
from rest_framework.decorators import api_view
from rest_framework.response import Response

@accept_websocket
@api_view(["GET"])
def api(request):
    if not request.is_websocket():
        return Response({"query": request.query_params["q"]})
    request.websocket.send(request.query_params["q"])

more = {"api/": api}
""",
        ),
        Package(
            "opentelemetry-instrumentation-django",
            "A span of a page, of a handshake, of the websocket's life, and of what its view does",
            views="""
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()

def describe(span):
    return {
        "name": span.name, "trace": span.context.trace_id, "id": span.context.span_id,
        "parent": span.parent and span.parent.span_id, "attributes": dict(span.attributes),
        "failed": not span.status.is_ok and not span.status.is_unset,
        "seconds": (span.end_time - span.start_time) / 1e9,
    }

def spans(request):
    return JsonResponse([describe(span) for span in exporter.get_finished_spans()], safe=False)

@require_websocket
def traced(request, room):
    tracer = trace.get_tracer("mysite")
    for message in request.websocket:
        with tracer.start_as_current_span("message", attributes={"size": len(message)}):
            request.websocket.send(message)

more = {"spans/": spans, "traced/<slug:room>/": traced}
""",
            # It adds its middleware to the settings, once they are read and before the middleware is loaded.
            settings="""
from django.apps import AppConfig

class Instrumented(AppConfig):
    name = "mysite"

    def ready(self):
        from opentelemetry import trace
        from opentelemetry.instrumentation.django import DjangoInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from mysite.views import exporter
        trace.set_tracer_provider(TracerProvider())
        trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
        DjangoInstrumentor().instrument()
        from django_websocket.tracing.opentelemetry import trace_websockets
        trace_websockets()

INSTALLED_APPS += ["mysite.settings.Instrumented"]
""",
        ),
        Package(
            "sentry-sdk",
            "An event for a view that raises, before a websocket's accept and after it; transactions of the websocket's"
            " life and of its messages",
            settings="""
import sentry_sdk
captured = []

class Keep(sentry_sdk.transport.Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event is not None:
            captured.append([event["exception"]["values"][-1]["value"], event.get("transaction")])
        transaction = envelope.get_transaction_event()
        if transaction is not None:
            transactions.append(transaction)

transactions = []
sentry_sdk.init(dsn="http://key@127.0.0.1/1", transport=Keep, traces_sample_rate=1.0)

from django_websocket.tracing.sentry import trace_websockets
trace_websockets()
""",
            views="""
import sentry_sdk
from mysite.settings import captured, transactions

def events(request):
    return JsonResponse(captured, safe=False)

def describe(transaction):
    trace = transaction["contexts"]["trace"]
    return {
        "name": transaction["transaction"],
        "op": trace["op"], "trace": trace["trace_id"], "status": trace.get("status"),
        "spans": [span["op"] for span in transaction["spans"]],
        "data": {key: value for key, value in trace.get("data", {}).items() if isinstance(value, (int, str))},
    }

def told(request):
    return JsonResponse([describe(one) for one in transactions], safe=False)

@require_websocket
def traced(request, room):
    request.websocket.accept()
    with sentry_sdk.start_span(op="mysite", name="prepares"):
        pass
    for message in request.websocket:
        with sentry_sdk.start_transaction(op="websocket.message", name="message"):
            request.websocket.send(message)

more = {"events/": events, "told/": told, "traced/<slug:room>/": traced}
""",
        ),
        Package(
            "whitenoise",
            "A static file, with its headers",
            settings="""
MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")
STATIC_ROOT = BASE_DIR
DEBUG = False
""",
        ),
    )
}
