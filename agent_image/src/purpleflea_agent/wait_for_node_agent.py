"""`python -m purpleflea_agent.wait_for_node_agent`: wait until the Datadog node agent of this node answers, then exit.

It runs as an init container before an agent that must not trade without telemetry, and connects to the addresses that
the agent will use. It needs only the standard library, so it starts fast and can be used with any image of an agent.
"""

import errno
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

from purpleflea_contract import environment as env

RETRY_INTERVAL_S = 1.0
TIMEOUT_S = 2.0
ICMP_WAIT_S = 0.2
"""Time that the ICMP error of a closed UDP port may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Address of one signal: a host and port for UDP or TCP, or the path of a UNIX socket."""

    signal: Literal["metrics", "traces"]
    path: str = ""
    host: str = ""
    port: int = 0


def receivers(environ: Mapping[str, str]) -> tuple[Receiver, ...]:
    """Return the receivers in the variables that the operator sets; empty if there is none."""
    return (*_metrics(environ), *_traces(environ))


def _metrics(environ: Mapping[str, str]) -> tuple[Receiver, ...]:
    path = _path(environ.get(env.DD_DOGSTATSD_URL, ""))
    if path:
        return (Receiver(signal="metrics", path=path),)
    host = environ.get(env.DD_AGENT_HOST, "")
    port = int(environ.get(env.DD_DOGSTATSD_PORT) or env.DOGSTATSD_PORT)
    return (Receiver(signal="metrics", host=host, port=port),) if host else ()


def _traces(environ: Mapping[str, str]) -> tuple[Receiver, ...]:
    url, host = environ.get(env.DD_TRACE_AGENT_URL, ""), environ.get(env.DD_AGENT_HOST, "")
    if environ.get(env.DD_TRACE_ENABLED, "").lower() == "false" or not (url or host):
        return ()
    if _path(url):
        return (Receiver(signal="traces", path=_path(url)),)
    if not url:
        port = int(environ.get(env.DD_TRACE_AGENT_PORT) or env.TRACE_PORT)
        return (Receiver(signal="traces", host=host, port=port),)
    # The operator writes no URL with a port since 0.1.0, but a pod template of an earlier revision may have one. The
    # host in it is the address of the node, and an IPv6 address has no brackets there.
    authority = url.partition("://")[2].partition("/")[0]
    name, _, port_text = authority.rpartition(":")
    if host and name == host:
        return (Receiver(signal="traces", host=host, port=int(port_text)),)
    split = urlsplit(url)
    return (
        Receiver(signal="traces", host=split.hostname or "", port=split.port or env.TRACE_PORT),
    )


def _path(url: str) -> str:
    return url.removeprefix("unix://") if url.startswith("unix://") else ""


def connection_error(receiver: Receiver) -> str:
    """Return why the receiver accepts no data; empty if it does.

    An open UDP port does not answer, so no answer counts as open. A closed port of the own node causes an ICMP error.
    """
    try:
        if receiver.path:
            _connect_socket(receiver)
        elif receiver.signal == "traces":
            socket.create_connection((receiver.host, receiver.port), timeout=TIMEOUT_S).close()
        else:
            _send_datagram(receiver.host, receiver.port)
    except OSError as error:
        host = f"[{receiver.host}]" if ":" in receiver.host else receiver.host
        address = receiver.path or f"{host}:{receiver.port}"
        return f"{receiver.signal} at {address}: {error.strerror or error}"
    return ""


def _connect_socket(receiver: Receiver) -> None:
    kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    # DogStatsD may be configured for streams. A socket of the other kind fails with EPROTOTYPE at once.
    for kind in kinds if receiver.signal == "metrics" else kinds[1:]:
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.settimeout(TIMEOUT_S)
            try:
                client.connect(receiver.path)
            except OSError as error:
                if error.errno != errno.EPROTOTYPE or kind is kinds[1]:
                    raise
            else:
                return


def _send_datagram(host: str, port: int) -> None:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(ICMP_WAIT_S)
        client.connect(address)
        client.send(b"")
        try:
            client.recv(1)
        except TimeoutError:
            return


def wait(environ: Mapping[str, str], stop: threading.Event) -> bool:
    """Wait until all receivers answer (True), or `stop` is set (False). If there is no receiver, wait for `stop`."""
    wanted, last_reason = receivers(environ), None
    while not stop.is_set():
        errors = [text for item in wanted if (text := connection_error(item))]
        if wanted and not errors:
            _log("the node agent answers")
            return True
        reason = "; ".join(errors) or "no node agent is known to the operator"
        if reason != last_reason:
            _log("waiting for the node agent", reason=reason)
            last_reason = reason
        stop.wait(RETRY_INTERVAL_S)
    return False


def _log(message: str, **fields: str) -> None:
    """Write a log line in the format of the agent."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"timestamp": moment, "level": "INFO", "logger": __name__, "message": message}
    sys.stdout.write(json.dumps({**line, **fields}) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Wait; return 0 if the node agent answers, 143 if the pod is terminated before."""
    stop = threading.Event()
    # The kernel drops a SIGTERM without a handler if it is sent to the first process of a container.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return 0 if wait(os.environ, stop) else 128 + signal.SIGTERM


if __name__ == "__main__":
    sys.exit(main())
