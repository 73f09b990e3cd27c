"""Limits for the open connections of a server, in total and per address. Both servers use this module.

A new connection is never refused, because the kubelet and the operator may share an address with other clients. If
there are too many connections, the new one replaces another that waits for its client.
"""

import asyncio
import fcntl
import socket
import termios
from collections import Counter
from collections.abc import Collection
from typing import Protocol

MAX_CONNECTIONS = 256
"""Far below the usual limit of 1024 open files, because the journal and the exchange need some too."""
MAX_CONNECTIONS_OF_ADDRESS = 64
ACCEPTED_AT_ONCE = 64
"""Connections accepted in one turn of the event loop. asyncio closes replaced connections only in its next turn, so a
burst that is accepted in one turn would use up the open files. asyncio then accepts nothing for a second."""
ACCEPT_QUEUE = 4096
"""Connections that the kernel keeps until they are accepted. If the queue is full, the kernel drops the attempt to
connect, and the client repeats it after a second, which is the whole timeout of many probes."""


class Connection(Protocol):
    """An open connection."""

    @property
    def number(self) -> int:
        """Position in the sequence of all connections; an older connection has a smaller number."""

    @property
    def address(self) -> str:
        """Address of the client."""

    @property
    def waits_for_client(self) -> bool:
        """True if the next step is due at the client: to send a request or the rest of it, or to read the answer."""

    @property
    def has_unread_bytes(self) -> bool:
        """True if the client has sent bytes that this process reads in the next turn of the event loop."""


def replaced(others: Collection[Connection], new: Connection) -> Connection | None:
    """Return the connection that a new one replaces; None if there are not too many.

    That is the oldest silent connection of the address, or of the address with the most connections. A connection with
    unread bytes is not silent: it may be a probe that arrived in a burst, whose request was not read yet. Only if every
    connection in total is in use, one that is being answered is replaced.
    """
    counts = Counter(item.address for item in others)
    is_full = len(others) >= MAX_CONNECTIONS
    if counts[new.address] < MAX_CONNECTIONS_OF_ADDRESS and not is_full:
        return None
    by_age = sorted(others, key=lambda item: item.number)
    if counts[new.address] >= MAX_CONNECTIONS_OF_ADDRESS:
        found = _oldest_waiting([item for item in by_age if item.address == new.address])
        if found is not None or not is_full:
            return found
    by_address = sorted(by_age, key=lambda item: -counts[item.address])  # stable, so by age too
    return _oldest_waiting(by_address) or by_address[0]


def _oldest_waiting(connections: Collection[Connection]) -> Connection | None:
    waiting = [item for item in connections if item.waits_for_client]
    silent = (item for item in waiting if not item.has_unread_bytes)
    return next(silent, next(iter(waiting), None))


def has_unread_bytes(transport: asyncio.Transport) -> bool:
    """Return whether the kernel has bytes for a transport that will read them."""
    if transport.is_closing() or not transport.is_reading():
        return False
    count = bytearray(4)
    fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, count)
    return any(count)


def enlarge_accept_queue(listener: socket.socket) -> None:
    """Let the kernel keep more connections than are accepted at once. Call it on a socket that listens already.

    The limit of the kernel (net.core.somaxconn) applies too.
    """
    listener.listen(ACCEPT_QUEUE)
