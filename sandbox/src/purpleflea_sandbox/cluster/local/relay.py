"""Carries bytes between the machine's loopback and the API server inside the plane. The listening
socket was opened outside and stays there; this process dials inside. TLS passes through unread."""

import asyncio
import contextlib
import socket
import sys

from purpleflea_sandbox.cluster.supervisor import LISTENER_FD

_CHUNK = 1 << 16


async def serve(listener: socket.socket, host: str, port: int) -> None:
    """Relay every connection of the listener until cancelled."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(host, port)
        except OSError:
            await _close(writer)
            return
        async with asyncio.TaskGroup() as both:
            both.create_task(_carry(reader, inner_writer))
            both.create_task(_carry(inner_reader, writer))

    server = await asyncio.start_server(relay, sock=listener, limit=_CHUNK)
    async with server:
        await server.serve_forever()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction. Its end closes the writer, which ends the other direction too."""
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
    """Arguments: host and port to dial."""
    host, port = argv
    asyncio.run(serve(socket.socket(fileno=LISTENER_FD), host, int(port)))


if __name__ == "__main__":
    main(sys.argv[1:])
