"""Websocket views without a server: the same driver, over a channel in memory."""
