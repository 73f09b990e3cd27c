"""The socket of the HTTP server, bound for IPv6 and IPv4, and signals that arrive before the server runs.

The kubelet and the operator connect to the address of the pod, whose family depends on the cluster. The module must not
accept connections.
"""

import signal
import socket

from purpleflea_contract.environment import DEFAULT_HTTP_HOST
from purpleflea_sdk.settings import Environment

CANNOT_BIND = (
    "Cannot bind the HTTP port; set PURPLEFLEA_HTTP_HOST and PURPLEFLEA_HTTP_PORT to a free address"
)


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a TCP socket that is bound to the address. `::` binds every IPv6 and IPv4 address.

    Raises:
        OSError: The address cannot be bound.
    """
    is_every_address = host == DEFAULT_HTTP_HOST
    if is_every_address and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"  # noqa: S104 - the kernel has no IPv6
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_every_address and family == socket.AF_INET6:
            # The default depends on the sysctl net.ipv6.bindv6only of the pod.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def keep_early_signals() -> list[int]:
    """Record signals that arrive before the server runs, instead of dropping them or ending the process.

    The kernel drops a signal without a handler if it is sent to the first process of a container. After a graceful
    stop, uvicorn raises the signal again, which would kill a process that is not the first.
    """
    early_signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda sig, _: early_signals.append(sig))
    return early_signals


def listener(environment: Environment) -> socket.socket:
    """Return the bound socket of the server.

    Raises:
        OSError: The address cannot be bound.
    """
    bound = bound_socket(environment.http_host, environment.http_port)
    # Accepted connections inherit this option. asyncio sets it only on sockets with an explicit protocol, which the
    # socket of uvicorn does not have. Without the option the kernel delays the second part of an answer by 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound
