"""The eventlet WSGI server. The only package that imports eventlet."""
