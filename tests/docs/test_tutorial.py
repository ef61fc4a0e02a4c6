"""docs/tutorial/, followed to the letter: from an empty folder to a deployed chat, in two browsers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.browser import Navigated, Page, chromium
from tests.conftest import missing
from tests.deadlines import wait_until
from tests.deploy.served import short_directory
from tests.groups.redis_servers import Redis, redis_server
from tests.ports import free_port

from .pages import Page as Document
from .reader import PASSWORD, Reader, is_like, reader_environment

PATIENCE = 90
"""Seconds to wait for a page: the longer the server was away, the longer it waits before it tries again."""


class Person:
    """A user of the chat, in a browser of their own."""

    def __init__(self, page: Page, name: str = "") -> None:
        self.page = page
        self.name = name

    def open(self, url: str) -> None:
        self.page.open(url)

    def leave_for(self, expression: str) -> None:
        """Have an expression leave this page, and wait until the next one is there."""
        self.page.run(f"window.isLeft = true; {expression}")
        self.page.wait_for("!window.isLeft && document.readyState === 'complete'")

    def fill(self, field: str, text: str) -> None:
        self.page.run(f"document.getElementsByName({json.dumps(field)})[0].focus()")
        self.page.type(text)

    def log_in(self, url: str) -> None:
        """Come to the form instead of the chat, fill it in, and arrive in the chat."""
        self.leave_for(f"location.href = {json.dumps(url)}")
        assert self.page.run("location.pathname") == "/accounts/login/"
        self.fill("username", self.name)
        self.fill("password", PASSWORD)
        self.page.press("Enter")
        self.page.wait_for("location.pathname === '/'")
        self.wait_for_state("open")

    def say(self, text: str) -> None:
        self.fill("text", text)
        self.page.press("Enter")

    def wait_for_state(self, state: str) -> None:
        self._wait_for_text("state", state)

    def wait_for_people(self, *names: str) -> None:
        self._wait_for_text("people", ", ".join(names))

    def _wait_for_text(self, identifier: str, text: str) -> None:
        shown = f"document.getElementById({json.dumps(identifier)})?.textContent"

        def is_shown() -> bool:
            try:
                return bool(self.page.run(shown) == text)
            except Navigated:
                return False

        wait_until(is_shown, PATIENCE, f"{self.name} sees {text}")

    def messages(self) -> list[str]:
        lines: list[str] = self.page.run(
            "Array.from(document.querySelectorAll('#messages li'), (line) => line.textContent)"
        )
        return lines

    def wait_for_messages(self, *texts: str) -> None:
        wait_until(lambda: self.messages() == list(texts), PATIENCE, f"{self.name} sees {texts}")

    def wait_for_count(self, count: int) -> None:
        wait_until(lambda: len(self.messages()) >= count, PATIENCE, f"{self.name} sees {count} messages")


class Tutorial:
    """The reader, with two browsers."""

    def __init__(self, reader: Reader, ann: Page, bob: Page, redis: Redis, port: int, secure: int) -> None:
        self.reader = reader
        self.redis = redis
        self.ann = Person(ann, "ann")
        self.bob = Person(bob, "bob")
        self.url = f"http://127.0.0.1:{port}/"
        self.secure_url = f"https://localhost:{secure}/"

    @property
    def people(self) -> tuple[Person, Person]:
        return self.ann, self.bob

    def echo(self) -> None:
        self.reader.follow("tutorial/1-echo")
        self.ann.open(self.url)
        self.ann.wait_for_state("open")
        self.ann.say("Hello")
        self.ann.wait_for_messages("Hello")
        assert '"GET /socket/ HTTP/1.1" 101 0' in self.reader.log()

    def chat(self) -> None:
        self.reader.follow("tutorial/2-chat", until="Who is there")
        self.ann.log_in(self.url)
        self.ann.say("Anybody here?")
        self.bob.log_in(self.url)
        self.bob.wait_for_messages("ann: Anybody here?")
        self.bob.say("<b>Me</b>")
        for person in self.people:
            person.wait_for_messages("ann: Anybody here?", "bob: <b>Me</b>")

    def presence(self) -> None:
        self.reader.follow("tutorial/2-chat", until="When the server restarts")
        for person in self.people:
            self._reload_until_it_shows_people(person)
            person.wait_for_state("open")
        for person in self.people:
            person.wait_for_people("ann", "bob")
        self.bob.open("about:blank")
        self.ann.wait_for_people("ann")
        self.bob.open(self.url)
        self.ann.wait_for_people("ann", "bob")
        self.bob.leave_for("document.getElementById('logout').submit()")
        assert self.bob.page.run("location.pathname") == "/accounts/login/"
        self.ann.wait_for_people("ann")
        self.bob.log_in(self.url)

    def _reload_until_it_shows_people(self, person: Person) -> None:
        """The server starts again when it has noticed the change."""

        def shows() -> bool:
            person.leave_for("location.reload()")
            try:
                return bool(person.page.run("document.getElementById('people') !== null"))
            except Navigated:
                return False  # the browser's own page tries again, too

        wait_until(shows, 30, "the new page")

    def restart(self) -> None:
        for person in self.people:
            person.wait_for_people("ann", "bob")
        self.reader.stop("runwsserver")
        for person in self.people:
            person.wait_for_state("waiting")
            person.say(f"{person.name} was here")
        before = self.ann.messages()
        self.reader.follow("tutorial/2-chat")
        said = {"ann: ann was here", "bob: bob was here"}
        for person in self.people:
            person.wait_for_count(len(before) + 2)
            assert person.messages()[: len(before)] == before
            assert set(person.messages()[len(before) :]) == said
        assert self.ann.messages() == self.bob.messages()
        self.ann.open(self.url)
        self.ann.wait_for_people("ann", "bob")
        self.ann.wait_for_count(2)
        assert set(self.ann.messages()) == said

    def tests(self) -> None:
        self.reader.follow("tutorial/3-tests")
        views = self.reader.cwd / "chat" / "views.py"
        code = views.read_text()
        views.write_text(re.sub(r"group\.send_json\(.*\)", "pass", code))
        output = self.reader.run("python manage.py test", status=1)
        views.write_text(code)
        [told] = Document("tutorial/3-tests").code("text")
        assert is_like(told, output), output

    def deployment(self) -> None:
        self.reader.stop("runwsserver")
        self.reader.follow("tutorial/4-deployment", until="New code")
        for person in self.people:
            person.log_in(self.secure_url)
        for person in self.people:
            person.wait_for_people("ann", "bob")
        self.ann.say("Over TLS")
        self.bob.wait_for_messages("ann: Over TLS")
        old = self._members_of_workers()
        self.reader.follow("tutorial/4-deployment")
        # Before that, what a page sends may go to a worker that has just closed its websocket.
        wait_until(lambda: self._are_with_others_than(old), PATIENCE, "both are with new workers")
        self.bob.say("Still here")
        for person in self.people:
            person.wait_for_messages("ann: Over TLS", "bob: Still here")
        self.ann.open(self.secure_url)
        self.ann.wait_for_messages("ann: Over TLS", "bob: Still here")

    def situation(self) -> str:
        """What can be seen now."""
        pages = [person.page.run("`${location.href}\\n${document.body.innerText}`") for person in self.people]
        return "\n\n".join([*pages, self.reader.log()])

    def _members_of_workers(self) -> dict[str, int]:
        """How many members of the chat each worker has."""
        with self.redis.client() as client:
            keys = client.scan_iter("django-websocket:{chat}:p:*")
            return {key.decode(): client.hlen(key) for key in keys}

    def _are_with_others_than(self, old: dict[str, int]) -> bool:
        new = self._members_of_workers()
        return sum(new.values()) == 2 and not new.keys() & old.keys()


def pip_finds_packages() -> bool:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-cache-dir", "--no-deps", "h11"]
    with TemporaryDirectory() as directory:
        return subprocess.run(command, cwd=directory, capture_output=True).returncode == 0


@pytest.fixture
def tutorial(wheel: Path, program: Callable[..., str]) -> Iterator[Tutorial]:
    browser = program("chromium", "chromium-browser", "google-chrome")
    for name in ("nginx", "openssl", "redis-cli"):
        program(name)
    if not pip_finds_packages():
        missing("a package index")
    server, secure = free_port(), free_port()
    with (
        short_directory() as directory,
        redis_server(directory) as redis,
        chromium(browser, "--ignore-certificate-errors") as ann,
        chromium(browser, "--ignore-certificate-errors") as bob,
    ):
        directory.chmod(0o755)  # nginx's workers have a user of their own
        ports = {"8000": server, "8443": secure, "6379": redis.port}
        reader = Reader(directory, reader_environment(wheel, directory), ports)
        try:
            yield Tutorial(reader, ann, bob, redis, server, secure)
        finally:
            reader.close()


@pytest.mark.timeout(600)
def test_the_tutorial(tutorial: Tutorial) -> None:
    try:
        tutorial.echo()
        tutorial.chat()
        tutorial.presence()
        tutorial.restart()
        tutorial.tests()
        tutorial.deployment()
    except AssertionError as error:
        error.add_note(tutorial.situation())
        raise
