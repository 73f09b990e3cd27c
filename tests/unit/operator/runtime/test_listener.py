"""The operator's HTTP server is reachable over IPv4 and IPv6."""

import contextlib
import socket

import pytest

from purpleflea_operator.runtime.listener import every_address


@pytest.mark.parametrize(
    ("has_ipv6", "addresses"), [(True, ("127.0.0.1", "::1")), (False, ("127.0.0.1",))]
)
def test_every_address_of_each_family_of_the_kernel_is_bound(monkeypatch, has_ipv6, addresses):
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: has_ipv6)
    with contextlib.closing(every_address(0)) as listener:
        listener.listen()
        for address in addresses:
            port = listener.getsockname()[1]
            socket.create_connection((address, port), timeout=5).close()


def test_a_port_in_use_is_an_error():
    with contextlib.closing(every_address(0)) as listener:
        listener.listen()
        with pytest.raises(OSError, match="in use"):
            every_address(listener.getsockname()[1])
