"""People who use the demo's chat through a proxy."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection

from tests.deadlines import deadline

from .proxies import Front

__all__ = ["Member"]


class Member:
    """Somebody with a browser: an account, a session, and perhaps a websocket to the lobby."""

    def __init__(self, front: Front, name: str) -> None:
        self.front = front
        self.name = name
        self.cookies: dict[str, str] = {}
        self.since = "0"
        self.socket: ClientConnection | None = None
        self.heard: list[str] = []
        self._opened = ExitStack()
        self._sign_up()

    def _headers(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}

    def _request(
        self, method: str, path: str, form: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, str]:
        client = self.front.client()
        headers = self._headers() | {"Referer": f"{self.front.origin}{path}", "Origin": self.front.origin}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        client.request(method, path, urlencode(form) if form is not None else None, headers)
        response = client.getresponse()
        body = response.read().decode()
        client.close()
        for line in response.headers.get_all("Set-Cookie", []):
            for name, cookie in SimpleCookie(line).items():
                assert cookie["secure"], line
                self.cookies[name] = cookie.value
        return response, body

    def _sign_up(self) -> None:
        _, page = self._request("GET", "/sign-up/")
        (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        form = {"username": self.name, "password1": "correct horse", "password2": "correct horse"}
        response, body = self._request("POST", "/sign-up/", {**form, "csrfmiddlewaretoken": token})
        assert (response.status, response.headers["Location"]) == (302, "/chat/"), body

    def get(self, path: str) -> str:
        """A page, as somebody who is logged in."""
        response, body = self._request("GET", path)
        assert response.status == 200, body
        return body

    def enter(self) -> None:
        """Open the websocket; what was said in between comes first."""
        client = self.front.connect(f"/chat/lobby/socket/?since={self.since}", self._headers())
        self.socket = self._opened.enter_context(client)

    def leave(self) -> None:
        self._opened.close()
        self.socket = None

    def say(self, text: str) -> None:
        assert self.socket is not None
        self.socket.send(text)

    def wait(self, is_it: Callable[[Any], bool]) -> Any:
        """The first message that ``is_it``; what people have said is noted."""
        assert self.socket is not None
        while True:
            message = json.loads(self.socket.recv(timeout=deadline(20)))
            if "message" in message:
                self.since = message["position"]
                self.heard.append(f"{message['message']['name']}: {message['message']['text']}")
            if is_it(message):
                return message

    def wait_for(self, text: str) -> None:
        self.wait(lambda message: message.get("message", {}).get("text") == text)

    def wait_for_members(self, *names: str) -> None:
        self.wait(lambda message: message.get("here") == sorted(names))
