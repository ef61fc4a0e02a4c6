"""Test websocket views without a server: the real driver over an in-memory channel."""
