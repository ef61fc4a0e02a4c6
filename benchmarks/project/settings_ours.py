"""The same settings, with the URLs of this project's views."""

from __future__ import annotations

import os

from .settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.project.sockets"

WEBSOCKET_METRICS_ADDRESS = os.environ.get("BENCHMARK_METRICS")

if os.environ.get("BENCHMARK_CERTIFICATE"):
    WEBSOCKET_ALLOWED_ORIGINS = ["*"]  # the load generator's page came over plain HTTP

_layer, _, _redis_port = os.environ.get("BENCHMARK_LAYER", "").partition(":")
if _redis_port:
    WEBSOCKET_GROUPS = {
        "BACKEND": "django_websocket.groups.redis.RedisBackend",
        "LOCATION": f"redis://127.0.0.1:{_redis_port}",
    }
