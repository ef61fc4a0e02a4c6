"""HTTP/1.1: one accepted connection, its requests and their responses."""
