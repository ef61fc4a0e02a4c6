"""The websocket protocol without I/O: bytes in, messages and bytes out.

Nothing here touches a socket, a clock, a thread, a setting, Django or eventlet, so every case of RFC 6455 and
RFC 7692 can be tested without I/O.
"""
