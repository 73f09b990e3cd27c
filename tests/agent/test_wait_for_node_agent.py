"""The program of the init container: receivers, errors of each kind of address, and the wait."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from purpleflea_agent import wait_for_node_agent
from purpleflea_agent.wait_for_node_agent import Receiver

LOCAL = "127.0.0.1"


@pytest.fixture
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((LOCAL, 0))
        yield server


@pytest.fixture
def tcp():
    with socket.create_server((LOCAL, 0)) as server:
        yield server


def port_of(server):
    return server.getsockname()[1]


@pytest.fixture
def closed_port(tcp):
    """A port without a listener."""
    number = port_of(tcp)
    tcp.close()
    return number


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"DD_TRACE_ENABLED": "false"}, []),
        (
            {"DD_AGENT_HOST": "10.0.0.1"},
            [("metrics", "10.0.0.1", 8125, ""), ("traces", "10.0.0.1", 8126, "")],
        ),
        (
            {
                "DD_AGENT_HOST": "10.0.0.1",
                "DD_DOGSTATSD_PORT": "8225",
                "DD_TRACE_AGENT_URL": "http://10.0.0.1:8226",
            },
            [("metrics", "10.0.0.1", 8225, ""), ("traces", "10.0.0.1", 8226, "")],
        ),
        (
            {"DD_AGENT_HOST": "fd00:10:244::1", "DD_TRACE_AGENT_PORT": "8226"},
            [("metrics", "fd00:10:244::1", 8125, ""), ("traces", "fd00:10:244::1", 8226, "")],
        ),
        (
            # As an operator before DD_TRACE_AGENT_PORT rendered it, on a node with an IPv6 address.
            {
                "DD_AGENT_HOST": "fd00:10:244::1",
                "DD_TRACE_AGENT_URL": "http://fd00:10:244::1:8226",
            },
            [("metrics", "fd00:10:244::1", 8125, ""), ("traces", "fd00:10:244::1", 8226, "")],
        ),
        (
            {"DD_TRACE_AGENT_URL": "http://[fd00::1]:8226"},
            [("traces", "fd00::1", 8226, "")],
        ),
        (
            # Variables that protect from envFrom have no value.
            {"DD_AGENT_HOST": "10.0.0.1", "DD_DOGSTATSD_PORT": "", "DD_TRACE_AGENT_PORT": ""},
            [("metrics", "10.0.0.1", 8125, ""), ("traces", "10.0.0.1", 8126, "")],
        ),
        (
            {"DD_AGENT_HOST": "10.0.0.1", "DD_TRACE_ENABLED": "false"},
            [("metrics", "10.0.0.1", 8125, "")],
        ),
        (
            {
                "DD_DOGSTATSD_URL": "unix:///var/run/datadog/dsd.socket",
                "DD_TRACE_AGENT_URL": "unix:///var/run/datadog/apm.socket",
            },
            [
                ("metrics", "", 0, "/var/run/datadog/dsd.socket"),
                ("traces", "", 0, "/var/run/datadog/apm.socket"),
            ],
        ),
    ],
)
def test_it_uses_the_same_addresses_as_the_agent(environ, expected):
    actual = [
        (item.signal, item.host, item.port, item.path)
        for item in wait_for_node_agent.receivers(environ)
    ]
    assert actual == expected


def test_open_ports_cause_no_error(udp, tcp):
    assert (
        wait_for_node_agent.connection_error(
            Receiver(signal="metrics", host=LOCAL, port=port_of(udp))
        )
        == ""
    )
    assert (
        wait_for_node_agent.connection_error(
            Receiver(signal="traces", host=LOCAL, port=port_of(tcp))
        )
        == ""
    )


@pytest.mark.parametrize("signal_", ["metrics", "traces"])
def test_a_closed_port_is_named(closed_port, signal_):
    actual = wait_for_node_agent.connection_error(
        Receiver(signal=signal_, host=LOCAL, port=closed_port)
    )
    assert actual == f"{signal_} at {LOCAL}:{closed_port}: Connection refused"


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_metrics_accept_both_kinds_of_socket(tmp_path, kind):
    path = str(tmp_path / "dsd.socket")
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(path)
        if kind is socket.SOCK_STREAM:
            server.listen()
        assert wait_for_node_agent.connection_error(Receiver(signal="metrics", path=path)) == ""


def test_a_socket_without_a_listener_is_an_error(tmp_path):
    path = str(tmp_path / "apm.socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen()
    assert "Connection refused" in wait_for_node_agent.connection_error(
        Receiver(signal="traces", path=path)
    )


def test_a_missing_socket_is_an_error(tmp_path):
    path = str(tmp_path / "dsd.socket")
    actual = wait_for_node_agent.connection_error(Receiver(signal="metrics", path=path))
    assert actual == f"metrics at {path}: No such file or directory"


def a_process(environ):
    return subprocess.Popen(
        [sys.executable, "-m", wait_for_node_agent.__name__],
        env={"PATH": os.environ["PATH"], **environ},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_it_exits_when_the_node_agent_answers(tmp_path):
    path = str(tmp_path / "dsd.socket")
    environ = {"DD_DOGSTATSD_URL": f"unix://{path}", "DD_TRACE_ENABLED": "false"}
    with a_process(environ) as process:
        assert "waiting for the node agent" in process.stdout.readline()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(path)
            assert "the node agent answers" in process.stdout.readline()
            assert process.wait(timeout=30) == 0


def test_without_an_address_it_waits_until_the_pod_ends():
    with a_process({"DD_TRACE_ENABLED": "false"}) as process:
        assert "no node agent is known" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143


def test_it_logs_the_same_reason_once(tmp_path, capsys):
    path = tmp_path / "dsd.socket"
    environ = {"DD_DOGSTATSD_URL": f"unix://{path}", "DD_TRACE_ENABLED": "false"}
    rounds = []

    class Counted(threading.Event):
        def wait(self, timeout=None):
            rounds.append(timeout)
            if len(rounds) == 3:
                self.set()

    stop = Counted()
    assert wait_for_node_agent.wait(environ, stop) is False
    assert capsys.readouterr().out.count("waiting for the node agent") == 1
