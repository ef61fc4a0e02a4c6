"""Groups: one message to every websocket that has joined, and to whoever else wants it.

:class:`.group.Group` is what projects use. A message goes from it to the :mod:`.backend`, which takes it to the
:mod:`.receivers` of each process.
"""
