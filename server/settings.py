"""The settings of ``startproject``. What a deployment must change comes from the environment:

SECRET_KEY, DEBUG (1 or 0; on by default), ALLOWED_HOSTS (host names separated by commas). So may:

* DATABASE, the path of the SQLite file; or PGDATABASE, the name of a PostgreSQL database, which is reached by
  PostgreSQL's own variables (PGHOST, PGUSER, PGPASSWORD, PGSSLMODE and so on);
* REDIS_URL, by which several processes and machines share their groups;
* BEHIND_TLS=1, if every request comes through a proxy that speaks TLS and overwrites X-Forwarded-Proto.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent

TRUE = ("1", "true", "yes", "on")

DEBUG = os.environ.get("DEBUG", "1").lower() in TRUE

SECRET_KEY = os.environ.get("SECRET_KEY", "")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("Set SECRET_KEY in the environment: there is no default when DEBUG is off.")
    SECRET_KEY = "django-insecure-good-enough-for-a-first-run-on-this-machine"

ALLOWED_HOSTS = [host.strip() for host in os.environ.get("ALLOWED_HOSTS", "").split(",") if host.strip()]

if os.environ.get("BEHIND_TLS", "0").lower() in TRUE:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_websocket",
    "django_websocket.live_page",
    "server.pages",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_websocket.middleware.WebSocketMiddleware",
]

ROOT_URLCONF = "server.urls"
WSGI_APPLICATION = "server.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES: dict[str, dict[str, object]] = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("DATABASE", BASE_DIR / "db.sqlite3")}
}
if PGDATABASE := os.environ.get("PGDATABASE", ""):
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": PGDATABASE,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 10}},  # in each process
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "chat"
LOGOUT_REDIRECT_URL = "login"

WEBSOCKET_GROUPS: dict[str, object] = {"HISTORY": {"chat.*": 100, "ticker": 20, "restart": 50}}
if REDIS_URL := os.environ.get("REDIS_URL", ""):
    WEBSOCKET_GROUPS |= {"BACKEND": "django_websocket.groups.redis.RedisBackend", "LOCATION": REDIS_URL}

if not DEBUG:  # else Django logs no error anywhere: it only mails them to ADMINS
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": "WARNING"},
    }
