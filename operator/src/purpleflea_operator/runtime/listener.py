"""The socket of the operator's HTTP server, bound for IPv6 and IPv4, because the kubelet may use either family."""

import socket


def every_address(port: int) -> socket.socket:
    """Return a TCP socket that is bound to every IPv6 and IPv4 address.

    Raises:
        OSError: The port cannot be bound.
    """
    has_ipv6 = socket.has_dualstack_ipv6()
    listener = socket.socket(socket.AF_INET6 if has_ipv6 else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if has_ipv6:
            # The default depends on the sysctl net.ipv6.bindv6only of the pod.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::" if has_ipv6 else "0.0.0.0", port))  # noqa: S104 - the kubelet connects from outside the pod
    except OSError:
        listener.close()
        raise
    return listener
