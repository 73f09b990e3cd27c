"""Requests to agents through `kubectl port-forward`, which works where a NetworkPolicy closes the port of the pods.

Agents are not trusted: an answer may be slow, too long or invalid.
"""

import contextlib
import json
import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Protocol

from kubectl_purpleflea.decisions.failures import last_line
from kubectl_purpleflea.kubectl.client import Kubectl
from purpleflea_contract import environment

OPEN_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 3.0
BODY_LIMIT = 64 * 1024
_FORWARDING = re.compile(r"^Forwarding from 127\.0\.0\.1:(\d+) ")
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
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
                url = f"http://127.0.0.1:{port}{path}"
                with OPENER.open(url, timeout=ANSWER_TIMEOUT_S) as response:
                    body = response.read(BODY_LIMIT + 1)
            except urllib.error.HTTPError as error:
                with error:
                    raise AgentError(f"{path} responded with status {error.code}") from error
            except (OSError, ValueError) as error:
                raise AgentError(f"{path} did not respond: {error}") from error
        try:
            return json.loads(body[: BODY_LIMIT + 1]) if len(body) <= BODY_LIMIT else _too_long()
        except (ValueError, RecursionError) as error:
            raise AgentError(f"the answer of {path} is not JSON") from error


@contextlib.contextmanager
def forwarded(kubectl: Kubectl, namespace: str, pod: str, port: int) -> Iterator[int]:
    """Yield a port of the loopback address that `kubectl port-forward` forwards to a port of a pod.

    Raises:
        AgentError: The port cannot be forwarded.
    """
    argv = kubectl.in_namespace(namespace).argv(
        *("port-forward", f"pod/{pod}", f":{port}", "--address=127.0.0.1")
    )
    process = subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    # A process that reports no port in time is ended, which also ends the read.
    timer = threading.Timer(OPEN_TIMEOUT_S, process.kill)
    timer.start()
    try:
        yield _port(process)
    finally:
        timer.cancel()
        process.kill()
        process.communicate()


def _port(process: "subprocess.Popen[str]") -> int:
    for line in process.stdout or ():
        if match := _FORWARDING.match(line):
            return int(match[1])
    errors = process.stderr.read() if process.stderr else ""
    raise AgentError(last_line(errors) if errors.strip() else "kubectl port-forward timed out")


def _too_long() -> Any:
    raise AgentError("the answer is too long")
