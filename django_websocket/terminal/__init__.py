"""A websocket client for the terminal, behind ``manage.py websocket``. It needs no process that is patched."""
