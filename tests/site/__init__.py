"""A Django project: a process of its own serves it, for tests over real sockets, or tests ask it in their own."""

MIDDLEWARE = [
    "tests.site.middleware.recorder",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "tests.site.middleware.environment",
]
