"""DogStatsD sockets: UDP, and a unix datagram socket if it is configured.

Receiving never waits: a datagram is parsed, tagged and added to memory immediately. The flush sends the data.
"""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from purpleflea_sandbox.datadog import dogstatsd
from purpleflea_sandbox.datadog.node_agent.aggregate import Aggregator
from purpleflea_sandbox.datadog.node_agent.counters import Counters
from purpleflea_sandbox.datadog.node_agent.origin import Tagger

_RECEIVE_BUFFER = 4 * 1024 * 1024
_SOCKET_MODE = 0o722
"""All users may write to the socket, because agents run as any user."""

OnOther = Callable[[dogstatsd.Event | dogstatsd.ServiceCheck, tuple[str, ...]], None]


class Receiver(asyncio.DatagramProtocol):
    """Pass metrics to the aggregator, and events and service checks to `on_other`."""

    def __init__(
        self, *, tagger: Tagger, aggregator: Aggregator, counters: Counters, on_other: OnOther
    ) -> None:
        self._tagger = tagger
        self._aggregator = aggregator
        self._counters = counters
        self._on_other = on_other

    def datagram_received(self, data: bytes, addr: Any) -> None:
        datagram = dogstatsd.parse(data)
        self._counters.add("dogstatsd.datagrams")
        self._counters.add("dogstatsd.packets", len(datagram.packets))
        self._counters.add("dogstatsd.malformed", datagram.malformed)
        for packet in datagram.packets:
            tags = self._tagger.tagged(packet.tags, packet.origin)
            if isinstance(packet, dogstatsd.Metric):
                self._aggregator.add(packet, tags)
            else:
                self._on_other(packet, tags)

    def error_received(self, exc: Exception) -> None:
        self._counters.add("dogstatsd.socket_errors")


async def listen_udp(receiver: Receiver, host: str, port: int) -> asyncio.DatagramTransport:
    """Open the UDP port; its number is in the transport's `sockname`."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    return await _listen(receiver, sock)


async def listen_unix(receiver: Receiver, path: Path) -> asyncio.DatagramTransport:
    """Open the socket file; a file that an earlier run left is replaced."""
    return await _listen(receiver, _bound_file(path))


def _bound_file(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    path.chmod(_SOCKET_MODE)
    return sock


async def _listen(receiver: Receiver, sock: socket.socket) -> asyncio.DatagramTransport:
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: receiver, sock=sock)
    return transport
