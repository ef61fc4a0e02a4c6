"""HTTP/1.1: a connection, its requests and their responses."""
