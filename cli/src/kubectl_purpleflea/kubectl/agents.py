"""Requests to agents through `kubectl port-forward`, which works where a NetworkPolicy closes the port of the pods.

Agents are not trusted: an answer may be slow, too long or invalid.
"""

import contextlib
import http.client
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from kubectl_purpleflea.decisions.failures import KubectlError, error_line
from kubectl_purpleflea.kubectl import processes
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.processes import Child
from purpleflea_contract import environment

OPEN_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 3.0
BODY_LIMIT = 64 * 1024
_CHUNK = 64 * 1024
_FORWARDING = re.compile(r"^Forwarding from 127\.0\.0\.1:(\d+) ")
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy of the environment must not receive requests to the loopback address."""


class AgentError(Exception):
    """An agent did not answer. The text is the reason."""


class Agents(Protocol):
    """Reads paths of agents."""

    def read(self, namespace: str, pod: str, path: str) -> Any:
        """Return the JSON answer of a pod.

        Raises:
            AgentError: The pod gave no usable answer.
        """


class ForwardedAgents:
    """Agents behind `kubectl port-forward`, one process per request."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl

    def read(self, namespace: str, pod: str, path: str) -> Any:
        """Return the JSON answer of a pod."""
        with forwarded(self._kubectl, namespace, pod, environment.HTTP_PORT) as port:
            try:
                body = port.answer(path, limit=BODY_LIMIT, timeout_s=ANSWER_TIMEOUT_S)
            except urllib.error.HTTPError as error:
                with error:
                    raise AgentError(f"{path} responded with status {error.code}") from error
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise AgentError(f"the answer of {path} is not JSON") from error


@dataclass(frozen=True, slots=True)
class ForwardedPort:
    """A port of the loopback address that `kubectl port-forward` forwards to a pod."""

    number: int
    _child: Child

    def answer(
        self, path: str, *, limit: int, timeout_s: float, data: bytes | None = None
    ) -> bytes:
        """Return the answer to a GET, or to a POST of JSON.

        Raises:
            AgentError: No answer was received in time, or it is too long.
            HTTPError: The status is an error.
        """
        headers = {"Content-Type": "application/json"} if data is not None else {}
        url = f"http://127.0.0.1:{self.number}{path}"
        request = urllib.request.Request(url, data=data, headers=headers)
        deadline = time.monotonic() + timeout_s
        # The timeout of a socket starts again at each byte, so the end of kubectl limits the whole answer.
        timer = threading.Timer(timeout_s, self._child.kill)
        timer.start()
        try:
            with _OPENER.open(request, timeout=timeout_s) as response:
                return _bounded(response, path, limit, deadline)
        except urllib.error.HTTPError:
            raise
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise AgentError(f"{path} did not respond: {error}") from error
        finally:
            timer.cancel()


def _bounded(response: Any, path: str, limit: int, deadline: float) -> bytes:
    body = bytearray()
    while data := response.read1(_CHUNK):
        body += data
        if len(body) > limit:
            raise AgentError(f"the answer of {path} is too long")
        if time.monotonic() >= deadline:
            raise AgentError(f"{path} did not respond in time")
    return bytes(body)


@contextlib.contextmanager
def forwarded(kubectl: Kubectl, namespace: str, pod: str, port: int) -> Iterator[ForwardedPort]:
    """Yield a port of the loopback address that `kubectl port-forward` forwards to a port of a pod.

    Raises:
        AgentError: The port cannot be forwarded.
    """
    argv = kubectl.in_namespace(namespace).argv(
        *("port-forward", f"pod/{pod}", f":{port}", "--address=127.0.0.1")
    )
    deadline = time.monotonic() + OPEN_TIMEOUT_S
    if kubectl.deadline is not None:
        deadline = min(deadline, kubectl.deadline)
        if deadline <= time.monotonic():
            raise AgentError("it was not asked, because the time of the command is over")
    try:
        child = processes.start(argv)
    except KubectlError as error:
        raise AgentError(str(error)) from error
    with child:
        yield ForwardedPort(_port(child, deadline), child)


def _port(child: Child, deadline: float) -> int:
    while time.monotonic() < deadline:
        try:
            can_print = child.step(deadline - time.monotonic())
        except KubectlError as error:
            raise AgentError(str(error)) from error
        while (line := child.line()) is not None:
            if match := _FORWARDING.match(line):
                return int(match[1])
        if not can_print:
            raise AgentError(error_line(child.errors))
    raise AgentError("kubectl port-forward opened no port in time")
