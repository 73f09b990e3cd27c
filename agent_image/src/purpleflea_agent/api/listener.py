"""The socket of the HTTP server, bound for IPv6 and IPv4.

The kubelet and the operator connect to the address of the pod, whose family depends on the cluster. The module must not
accept connections.
"""

import socket

from purpleflea_contract.environment import DEFAULT_HTTP_HOST


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
