"""`python -m purpleflea_agent.hold`: waits until the Datadog node agent of this node answers, then ends.

It runs as an init container before an agent that must not trade unheard, and asks by the addresses that the agent will
use. Standard library only: it starts in a moment, and runs beside images that are not ours.
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

ASK_AGAIN_S = 1.0
TIMEOUT_S = 2.0
ECHO_S = 0.2
"""How long the news that nobody listens at a UDP port may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where one signal goes: by UDP or TCP to a host and port, by UNIX socket to a path."""

    signal: Literal["metrics", "traces"]
    path: str = ""
    host: str = ""
    port: int = 0


def receivers(environ: Mapping[str, str]) -> tuple[Receiver, ...]:
    """The receivers that the variables of the operator name; empty where there is none."""
    return (*_metrics(environ), *_traces(environ))


def _metrics(environ: Mapping[str, str]) -> tuple[Receiver, ...]:
    path = _path(environ.get(env.DD_DOGSTATSD_URL, ""))
    if path:
        return (Receiver(signal="metrics", path=path),)
    host = environ.get(env.DD_AGENT_HOST, "")
    port = int(environ.get(env.DD_DOGSTATSD_PORT, env.DOGSTATSD_PORT))
    return (Receiver(signal="metrics", host=host, port=port),) if host else ()


def _traces(environ: Mapping[str, str]) -> tuple[Receiver, ...]:
    url, host = environ.get(env.DD_TRACE_AGENT_URL, ""), environ.get(env.DD_AGENT_HOST, "")
    if environ.get(env.DD_TRACE_ENABLED, "").lower() == "false" or not (url or host):
        return ()
    if _path(url):
        return (Receiver(signal="traces", path=_path(url)),)
    split = urlsplit(url or f"//{host}:{env.TRACE_PORT}")
    return (
        Receiver(signal="traces", host=split.hostname or "", port=split.port or env.TRACE_PORT),
    )


def _path(url: str) -> str:
    return url.removeprefix("unix://") if url.startswith("unix://") else ""


def obstacle(receiver: Receiver) -> str:
    """Why the receiver does not take anything; empty where it does.

    A UDP port that is open says nothing, so silence counts as open there; a closed one of the own node says so.
    """
    try:
        if receiver.path:
            _connect_socket(receiver)
        elif receiver.signal == "traces":
            socket.create_connection((receiver.host, receiver.port), timeout=TIMEOUT_S).close()
        else:
            _send_datagrams(receiver.host, receiver.port)
    except OSError as error:
        where = receiver.path or f"{receiver.host}:{receiver.port}"
        return f"{receiver.signal} at {where}: {error.strerror or error}"
    return ""


def _connect_socket(receiver: Receiver) -> None:
    kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    # DogStatsD may be configured for streams; a socket of the other kind says so at once.
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


def _send_datagrams(host: str, port: int) -> None:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(ECHO_S)
        client.connect(address)
        client.send(b"")
        try:
            client.recv(1)
        except TimeoutError:
            return


def wait(environ: Mapping[str, str], stop: threading.Event) -> bool:
    """Wait until all receivers answer (True), or until told to stop (False). Without any it waits for ever."""
    wanted, said = receivers(environ), None
    while not stop.is_set():
        obstacles = [text for item in wanted if (text := obstacle(item))]
        if wanted and not obstacles:
            _say("the node agent answers")
            return True
        reason = "; ".join(obstacles) or "no node agent is known to the operator"
        if reason != said:
            _say("waiting for the node agent", reason=reason)
            said = reason
        stop.wait(ASK_AGAIN_S)
    return False


def _say(message: str, **fields: str) -> None:
    """A log line in the form of the agent's own."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"timestamp": moment, "level": "INFO", "logger": __name__, "message": message}
    sys.stdout.write(json.dumps({**line, **fields}) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Wait; 0 when the node agent answers, 143 when the pod is ended before."""
    stop = threading.Event()
    # Process 1 of a container does not even notice a SIGTERM that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return 0 if wait(os.environ, stop) else 128 + signal.SIGTERM


if __name__ == "__main__":
    sys.exit(main())
