"""The websocket protocol, pure: bytes in, messages and bytes out.

Nothing in here touches a socket, a clock, a thread, a setting, Django or eventlet, so every case of RFC 6455 and
RFC 7692 is a test without I/O.
"""
