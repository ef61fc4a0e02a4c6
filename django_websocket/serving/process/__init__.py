"""The process around the connections: listeners, the server, signals, graceful shutdown."""
