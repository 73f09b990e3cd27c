"""Free ports of the loopback that nobody else is given between choosing and using them. No other
provider needs this: their ports are in a network namespace of their own or opened before they are
told."""

import socket

HOST = "127.0.0.1"


def reserve(count: int) -> tuple[int, ...]:
    """Ports on which a server may listen now, and which the kernel hands to nobody for a minute."""
    return tuple(_reserve_one() for _ in range(count))


def _reserve_one() -> int:
    # A connection closed by the server's side first leaves its port in TIME_WAIT: no program that
    # asks for any free port gets it, one that names it (with SO_REUSEADDR) does.
    with socket.create_server((HOST, 0)) as server:
        address: tuple[str, int] = server.getsockname()
        with socket.create_connection(address), server.accept()[0]:
            pass
        return address[1]
