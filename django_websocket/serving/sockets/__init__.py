"""The sockets of open websockets on eventlet's hub."""
