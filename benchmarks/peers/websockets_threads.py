"""``websockets`` with one thread per connection."""

from __future__ import annotations

import socket
import sys

from websockets.sync.server import ServerConnection, serve


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=2048)
    with serve(echo, sock=listener) as server:
        server.serve_forever()
