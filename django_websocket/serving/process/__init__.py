"""The process around the connections: listeners, the server, signals, an orderly end."""
