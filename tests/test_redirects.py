"""Handshakes that a login page, or another URL, would get."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.deadlines import deadline
from tests.site.fixtures import Serve
from tests.site.running import Answer, Site
from tests.test_opening import session_cookie

LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"


def log_in(site: Site) -> dict[str, str]:
    return session_cookie(site.ask("/common/log_in/").headers.get_all("Set-Cookie", []))


def is_refused(site: Site, path: str) -> bool:
    answer = site.shake_hands(path)
    [warning] = site.take_log("WARNING")
    assert warning["logger"] == "django.request"
    assert warning["message"] == f"Forbidden: {path} (login is required at /login/?next={quote(path)})"
    assert answer.headers["Location"] is None
    assert answer.body == f"login is required at /login/?next={quote(path)}\n".encode()
    return answer.status == 403


@pytest.mark.parametrize("view", ["login_inside", "login_outside"])
@pytest.mark.parametrize("query", ["", "?room=1&to=/"])
def test_login_required_is_a_403_and_lets_in(site: Site, view: str, query: str) -> None:
    assert is_refused(site, f"/opening/{view}/{query}")
    with site.connect(f"/opening/{view}/", additional_headers=log_in(site)) as client:
        assert client.recv(timeout=deadline(10)) == "someone"


def test_the_page_is_still_redirected(site: Site) -> None:
    answer = site.ask("/opening/login_required_page/")
    assert (answer.status, answer.headers["Location"]) == (302, "/login/?next=/opening/login_required_page/")


def test_the_middleware_that_requires_login(serve: Serve) -> None:
    with serve(more_middleware=[LOGIN_REQUIRED]) as site:
        assert is_refused(site, "/opening/order/")
        page = site.ask("/common/plain/")
        assert (page.status, page.headers["Location"]) == (302, "/login/?next=/common/plain/")
        assert site.shake_hands("/opening/order/", {"Upgrade": "h2c"}).status == 302, "no handshake"


def redirected(site: Site, target: str) -> Answer:
    return site.shake_hands(f"/opening/redirects/?to={quote(target, safe='')}")


@pytest.mark.parametrize(
    "target", ["/elsewhere/", "https://127.0.0.1/opening/redirects/", "/login/?next=/elsewhere/", "/?next=//["]
)
def test_other_redirects_stay_and_are_logged(site: Site, target: str) -> None:
    answer = redirected(site, target)
    assert (answer.status, answer.headers["Location"]) == (302, target)
    [warning] = site.take_log("WARNING")
    assert warning["message"].startswith("Found: /opening/redirects/?to=")
    assert warning["message"].endswith(f"(browsers follow no redirect of a websocket, to {target})")


@pytest.mark.parametrize(
    "target",
    [
        "/sso/?return_to=http%3A//127.0.0.1/opening/redirects/",
        "https://sso.example/?a=b&c=/opening/redirects/%3Fd",
    ],
)
def test_a_login_page_of_ones_own(site: Site, target: str) -> None:
    assert redirected(site, target).status == 403
    site.take_log("WARNING")
