"""Free ports of the loopback interface that no other program receives between their selection and
their use.

The other providers do not need this, because their ports are in a separate network namespace or
already open when they are published.
"""

import socket

HOST = "127.0.0.1"


def reserve(count: int) -> tuple[int, ...]:
    """Return ports on which a server may listen now and which the kernel assigns to no other
    program for a minute.
    """
    return tuple(_reserve_one() for _ in range(count))


def _reserve_one() -> int:
    # A connection that the server side closes first leaves its port in TIME_WAIT. A program that
    # requests any free port does not get this port, but a program that binds it explicitly (with
    # SO_REUSEADDR) does.
    with socket.create_server((HOST, 0)) as server:
        address: tuple[str, int] = server.getsockname()
        with socket.create_connection(address), server.accept()[0]:
            pass
        return address[1]
