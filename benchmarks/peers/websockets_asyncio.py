"""``websockets`` on asyncio with uvloop; ``/fanout`` sends to all with ``broadcast``."""

from __future__ import annotations

import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

room: set[ServerConnection] = set()


async def echo(connection: ServerConnection) -> None:
    if connection.request is not None and connection.request.path == "/fanout":
        room.add(connection)
        try:
            async for message in connection:
                broadcast(room, message)
        finally:
            room.discard(connection)
    else:
        async for message in connection:
            await connection.send(message)


async def main(port: int) -> None:
    async with serve(echo, "127.0.0.1", port, backlog=2048) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
