"""TCP proxy between the loopback interface of the machine and a port inside the cluster.

The listening socket was opened outside the network namespace and stays there; this process connects
inside. TLS passes through unread.
"""

import asyncio
import contextlib
import socket
import sys

from purpleflea_sandbox.cluster.supervisor import LISTENER_FD

_CHUNK = 1 << 16


async def serve(listener: socket.socket, host: str, port: int) -> None:
    """Proxy every connection of the listener until canceled."""

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(host, port)
        except OSError:
            await _close(writer)
            return
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(reader, inner_writer))
            both.create_task(_copy(inner_reader, writer))

    server = await asyncio.start_server(proxy, sock=listener, limit=_CHUNK)
    async with server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction.

    The end of the stream closes the writer, which also ends the other direction.
    """
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()


def main(argv: list[str]) -> None:
    """Run with the arguments: host and port to connect to."""
    host, port = argv
    asyncio.run(serve(socket.socket(fileno=LISTENER_FD), host, int(port)))


if __name__ == "__main__":
    main(sys.argv[1:])
