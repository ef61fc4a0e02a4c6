"""Settings of the test project; what a test wants changed comes in the environment, as JSON."""

from __future__ import annotations

import json
import os
from typing import Any

from . import MIDDLEWARE

OPTIONS: dict[str, Any] = json.loads(os.environ["TEST_SITE"])
"""``directory``: for the database and the log; ``websocket_middleware``, ``async_middleware``, ``atomic_requests``:
bool; ``more_middleware``, ``conn_max_age``, ``port``, ``settings``; ``constants``: of the package, by their names."""

SECRET_KEY = "for tests only"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "tests.site.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django_websocket",
]
MIDDLEWARE = MIDDLEWARE.copy()
if OPTIONS.get("async_middleware"):
    MIDDLEWARE.insert(2, "tests.site.middleware.asynchronous")
if OPTIONS.get("websocket_middleware"):
    MIDDLEWARE.append("django_websocket.middleware.WebSocketMiddleware")
MIDDLEWARE += OPTIONS.get("more_middleware", [])

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.path.join(OPTIONS["directory"], "db.sqlite3"),
        "ATOMIC_REQUESTS": OPTIONS.get("atomic_requests", False),
        "CONN_MAX_AGE": OPTIONS.get("conn_max_age", 0),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "/login/"
USE_TZ = True
USE_I18N = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "tests.site.journal.JsonLines"}},
    "handlers": {
        "file": {
            "class": "logging.FileHandler",
            "filename": os.path.join(OPTIONS["directory"], "log"),
            "formatter": "json",
        }
    },
    "root": {"handlers": ["file"], "level": "INFO"},
    "loggers": {"django": {"handlers": [], "level": "INFO", "propagate": True}},
}
LOGGING_CONFIG = "logging.config.dictConfig"

# Looks at sessions on its own, with a database connection: not while connections are counted.
WEBSOCKET_SESSION_CHECK_INTERVAL = None

# A busy machine holds up any process now and then; the tests of the watchdog switch it on.
WEBSOCKET_BLOCKING_WARNING = None

# A ping may come between any two frames, once a test takes long enough.
WEBSOCKET_PING_INTERVAL = None

globals().update(OPTIONS.get("settings", {}))
