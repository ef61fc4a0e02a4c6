"""docs/tutorial/, followed to the letter: from an empty folder to a deployed chat, in two browsers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser import Page, chromium
from tests.deadlines import wait_until
from tests.deploy.programs import free_ports
from tests.deploy.served import short_directory
from tests.groups.redis_servers import redis_server

from .pages import Page as Document
from .reader import PASSWORD, Reader, is_like, reader_environment


class Person:
    """A user of the chat, in a browser of their own."""

    def __init__(self, page: Page, name: str = "") -> None:
        self.page = page
        self.name = name

    def open(self, url: str) -> None:
        self.page.open(url)

    def fill(self, field: str, text: str) -> None:
        self.page.run(f"document.getElementsByName({json.dumps(field)})[0].focus()")
        self.page.type(text)

    def log_in(self, url: str) -> None:
        """Come to the form instead of the chat, fill it in, and arrive in the chat."""
        self.page.run(f"location.href = {json.dumps(url)}")
        self.page.wait_for("location.pathname === '/accounts/login/' && document.readyState === 'complete'")
        self.fill("username", self.name)
        self.fill("password", PASSWORD)
        self.page.press("Enter")
        self.page.wait_for("location.pathname === '/'")
        self.wait_for_state("open")

    def say(self, text: str) -> None:
        self.fill("text", text)
        self.page.press("Enter")

    def wait_for_state(self, state: str) -> None:
        self.page.wait_for(f"document.getElementById('state')?.textContent === {json.dumps(state)}")

    def wait_for_people(self, *names: str) -> None:
        self.page.wait_for(f"document.getElementById('people')?.textContent === {json.dumps(', '.join(names))}")

    def messages(self) -> list[str]:
        lines: list[str] = self.page.run(
            "Array.from(document.querySelectorAll('#messages li'), (line) => line.textContent)"
        )
        return lines

    def wait_for_messages(self, *texts: str) -> None:
        wait_until(lambda: self.messages() == list(texts), 20, f"{self.name} sees {texts}")


class Tutorial:
    """The reader, with two browsers."""

    def __init__(self, reader: Reader, ann: Page, bob: Page, port: int, secure: int) -> None:
        self.reader = reader
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
        self.bob.page.run("document.getElementById('logout').submit()")
        self.bob.page.wait_for("location.pathname === '/accounts/login/'")
        self.ann.wait_for_people("ann")
        self.bob.log_in(self.url)

    def _reload_until_it_shows_people(self, person: Person) -> None:
        """The server starts again when it has noticed the change."""

        def shows() -> bool:
            person.page.run("location.reload()")
            person.page.wait_for("document.readyState === 'complete'")
            return bool(person.page.run("document.getElementById('people') !== null"))

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
            wait_until(lambda person=person: len(person.messages()) == len(before) + 2, 20, "what both have said")
            assert person.messages()[: len(before)] == before
            assert set(person.messages()[len(before) :]) == said
        assert self.ann.messages() == self.bob.messages()
        self.ann.open(self.url)
        self.ann.wait_for_people("ann", "bob")
        wait_until(lambda: set(self.ann.messages()) == said, 20, "what was said since the start")

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
        self.reader.follow("tutorial/4-deployment")
        wait_until(lambda: self.reader.log().count("Worker exiting") == 2, 60, "the old workers leave")
        for person in self.people:
            person.wait_for_state("open")
        self.bob.say("Still here")
        for person in self.people:
            person.wait_for_messages("ann: Over TLS", "bob: Still here")
        self.ann.open(self.secure_url)
        self.ann.wait_for_messages("ann: Over TLS", "bob: Still here")


@pytest.fixture
def tutorial(wheel: Path, program: Callable[..., str]) -> Iterator[Tutorial]:
    browser = program("chromium", "chromium-browser", "google-chrome")
    for name in ("nginx", "openssl", "redis-cli"):
        program(name)
    server, secure = free_ports(2)
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
            yield Tutorial(reader, ann, bob, server, secure)
        finally:
            reader.close()


def test_the_tutorial(tutorial: Tutorial) -> None:
    tutorial.echo()
    tutorial.chat()
    tutorial.presence()
    tutorial.restart()
    tutorial.tests()
    tutorial.deployment()
