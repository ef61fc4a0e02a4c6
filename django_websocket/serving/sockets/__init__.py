"""The socket of an open websocket, on eventlet's hub."""
