"""Test cases whose client can open websockets."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import SimpleTestCase, TestCase, TransactionTestCase

from .client import WebSocketClient
from .failures import WebSocketRejected
from .groups import groups_in_memory
from .world import close_forgotten

__all__ = ["WebSocketTestCase", "WebSocketTestMixin", "WebSocketTransactionTestCase"]


class WebSocketTestMixin(SimpleTestCase):
    """Makes ``self.client`` of any of Django's test cases a :class:`.WebSocketClient`."""

    client: WebSocketClient
    """Of the test."""
    client_class = WebSocketClient

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test; close what it left open, and fail if there is any."""
        self.addCleanup(close_forgotten)
        with groups_in_memory():
            return super().run(result)

    def debug(self) -> None:
        """Run the test without collecting its result."""
        self.addCleanup(close_forgotten)
        with groups_in_memory():
            super().debug()

    @contextmanager
    def assertWebSocketRejected(self, status: int | None = None) -> Iterator[Any]:  # noqa: N802  as unittest's
        """``with self.assertWebSocketRejected(403) as rejected``: a handshake within gets that status, not a 101.

        ``rejected.exception`` is the :exc:`.WebSocketRejected`, which has the response.
        """
        with self.assertRaises(WebSocketRejected) as caught:
            yield caught
        if status is not None:
            self.assertEqual(caught.exception.status_code, status, str(caught.exception))


class WebSocketTestCase(WebSocketTestMixin, TestCase):
    """Django's TestCase, with websockets."""


class WebSocketTransactionTestCase(WebSocketTestMixin, TransactionTestCase):
    """Django's TransactionTestCase, with websockets."""
