"""A serving process's ear for live pages in others: it answers their questions, and carries out their orders."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from ..background import background
from ..exceptions import GroupsUnavailable
from ..groups.process import process_id
from ..groups.subscription import Subscription
from .census import Census, census
from .closing import Order, carry_out
from .control import CONTROL, listen, post
from .query import Query

__all__ = ["Respondent"]

logger = logging.getLogger("django_websocket")

RETRY_SECONDS = 2.0
"""Seconds until groups that were not available are tried again."""

MAX_SPAN = 30.0


class Respondent:
    """Answers for ``census``."""

    def __init__(self, census: Census) -> None:
        self._census = census

    def run(self) -> None:
        """The job of the server."""
        while True:
            try:
                with listen(CONTROL) as messages:
                    while True:
                        self.serve(messages)
            except GroupsUnavailable as error:
                logger.debug("Live pages in other processes do not see this one: %s", error)
            except Exception:
                logger.exception("Could not answer a live page")
            time.sleep(RETRY_SECONDS)

    def serve(self, messages: Subscription) -> None:
        """Wait for a message; answer it, and all that have come with it: each page's newest question only."""
        content = messages.wait()
        questions: dict[str, Any] = {}
        while content is not None:
            message = json.loads(content)
            if message["process"] != process_id():  # which has seen to itself
                if "order" in message:
                    self._obey(message)
                else:
                    questions[message["reply"]] = message
            content = messages.read()
        for message in questions.values():
            self._answer(message)

    def _answer(self, message: Any) -> None:
        try:
            query, span = Query.parse(message["query"]), min(float(message["span"]), MAX_SPAN)
        except (ValueError, KeyError) as error:
            logger.debug("A live page with other code asked: %s", error)
            return
        answer = self._census.answer(query, message["reply"], span)
        post(message["reply"], {"number": message["number"], "answer": answer.to_json()})

    def _obey(self, message: Any) -> None:
        closed = carry_out(Order.parse(message["order"]))
        post(message["reply"], {"number": message["number"], "process": process_id(), "closed": closed})


background.add(Respondent(census).run)
