"""The eventlet WSGI server; the only package here that imports eventlet."""
