"""The demo's settings, with a view more."""

from server.settings import *  # noqa: F403

ROOT_URLCONF = "tests.deploy.urls"
