"""The HTTP server of an agent is reachable over IPv4 and IPv6, whatever family the cluster uses."""

import contextlib
import socket

import pytest

from purpleflea_contract.environment import DEFAULT_HTTP_HOST
from purpleflea_sdk.http.listener import bound_socket


def listening(host):
    listener = bound_socket(host, 0)
    listener.listen()
    return contextlib.closing(listener)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_default_address_is_reachable_over_both_families(address):
    with listening(DEFAULT_HTTP_HOST) as listener:
        port = listener.getsockname()[1]
        socket.create_connection((address, port), timeout=5).close()


def test_a_kernel_without_ipv6_binds_ipv4(monkeypatch):
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with listening(DEFAULT_HTTP_HOST) as listener:
        assert listener.family == socket.AF_INET
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]
)
def test_another_address_is_bound_as_it_is(host, family):
    with listening(host) as listener:
        assert listener.family == family
        assert listener.getsockname()[0] == host


def test_a_port_in_use_is_an_error():
    with listening("127.0.0.1") as listener, pytest.raises(OSError, match="in use"):
        bound_socket("127.0.0.1", listener.getsockname()[1])
