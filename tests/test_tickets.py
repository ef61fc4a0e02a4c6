"""What projects call: issue(), describe(), revoke() and the view."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.test import Client
from django.utils.functional import SimpleLazyObject

from django_websocket import tickets
from django_websocket.admission.ticket import read_ticket

pytestmark = pytest.mark.django_db

#: pytest-django's, whose name is not the same in all its versions.
Settings = Any

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
]


@pytest.fixture(autouse=True)
def project(settings: Settings) -> Settings:
    settings.ROOT_URLCONF = "tests.admission.views"
    settings.MIDDLEWARE = MIDDLEWARE
    return settings


@pytest.fixture
def ann() -> User:
    return User.objects.create(username="ann")


class TestView:
    def test_it_answers_a_post_of_somebody(self, ann: User) -> None:
        client = Client()
        client.force_login(ann)
        response = client.post("/ticket/")
        assert response.status_code == 200
        assert set(response.json()) == {"ticket", "expires_in", "refresh_in"}
        assert response.json()["expires_in"] == 60
        assert response.json()["refresh_in"] is None
        assert "no-store" in response.headers["Cache-Control"]
        ticket = read_ticket(response.json()["ticket"])
        assert (ticket.user_id, ticket.session_key) == (str(ann.pk), client.session.session_key)

    def test_a_stranger_gets_401_rather_than_a_page_to_log_in(self) -> None:
        response = Client().post("/ticket/")
        assert response.status_code == 401
        assert "detail" in response.json()
        assert response.headers["WWW-Authenticate"]

    def test_other_methods(self, ann: User) -> None:
        client = Client()
        client.force_login(ann)
        assert client.get("/ticket/").status_code == 405

    def test_another_sites_form_gets_none(self, ann: User) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(ann)
        assert client.post("/ticket/").status_code == 403


class TestIssue:
    def test_for_the_user_of_a_request(self, ann: User) -> None:
        request = HttpRequest()
        request.user = SimpleLazyObject(lambda: ann)  # type: ignore[assignment]  # as Django's middleware sets it
        assert read_ticket(tickets.issue(request)).user_id == str(ann.pk)

    def test_one_that_no_session_gave_needs_refreshing(self, ann: User, settings: Settings) -> None:
        request = SimpleNamespace(user=ann)
        assert tickets.describe(request)["refresh_in"] == 3600
        settings.WEBSOCKET_TICKET_REFRESH = None
        assert tickets.describe(request)["refresh_in"] is None

    def test_a_session_of_somebody_else_is_left_out_of_it(self, ann: User) -> None:
        client = Client()
        client.force_login(User.objects.create(username="bob"))
        request = SimpleNamespace(user=ann, session=client.session)
        assert read_ticket(tickets.issue(request)).session_key == ""

    def test_a_session_in_a_cookie_could_not_be_watched(self, ann: User, settings: Settings) -> None:
        settings.SESSION_ENGINE = tickets.SIGNED_COOKIES
        client = Client()
        client.force_login(ann)
        assert client.post("/ticket/").json()["refresh_in"] == 3600

    @pytest.mark.parametrize("user", [None, AnonymousUser()])
    def test_for_nobody(self, user: Any) -> None:
        with pytest.raises(PermissionDenied):
            tickets.issue(SimpleNamespace(user=user))

    def test_for_who_may_not_log_in(self, ann: User) -> None:
        ann.is_active = False
        with pytest.raises(PermissionDenied):
            tickets.issue(None, ann)

    def test_for_what_is_no_user_of_the_site(self) -> None:
        with pytest.raises(TypeError, match="model auth"):
            tickets.issue(None, SimpleNamespace(is_authenticated=True, pk=1))
        with pytest.raises(TypeError, match="not for Group"):
            tickets.revoke(Group(pk=1))
