"""Groups: one message to every websocket that has joined.

:class:`.group.Group` is what projects use; :mod:`.members` are those who have joined, and how messages get to them.
"""
