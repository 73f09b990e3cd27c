"""The kubectl of the user as a client: one process per request, with the user's flags.

The module must not decide anything. A request that kubectl does not finish is ended with its processes.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kubectl_purpleflea.decisions.failures import Failure, KubectlError, error_line, failure
from kubectl_purpleflea.decisions.objects import mapping
from kubectl_purpleflea.kubectl import processes
from kubectl_purpleflea.kubectl.processes import PROGRAM_VARIABLE

REQUEST_TIMEOUT_S = 10
PROCESS_TIMEOUT_S = 30.0
"""kubectl sends several requests before the first one of a command: discovery, credential plugins."""
UNLIMITED_S = 3600.0
"""Limit of one process with --request-timeout=0."""
MAX_ERROR = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """kubectl with the connection flags of the user."""

    flags: tuple[str, ...] = ()
    namespace: str = ""
    """The flag --namespace; empty for the namespace of the context."""
    request_timeout_s: float | None = None
    """The flag --request-timeout of the user; None without it, and 0 for no limit."""
    deadline: float | None = None
    """Monotonic time at which each request ends; None for the limit of one process."""

    @property
    def program(self) -> str:
        """Path of kubectl."""
        return os.environ.get(PROGRAM_VARIABLE) or "kubectl"

    def argv(self, *arguments: str, timeout: bool = True) -> list[str]:
        """Return the command line of a request."""
        found = [self.program, *self.flags]
        if self.namespace and not _names_namespace(arguments):
            found.append(f"--namespace={self.namespace}")
        if timeout and self.request_timeout_s is None:
            found.append(f"--request-timeout={REQUEST_TIMEOUT_S}s")
        return [*found, *arguments]

    def in_namespace(self, namespace: str) -> "Kubectl":
        """Return the same client for another namespace."""
        return replace(self, namespace=namespace)

    def in_context(self, context: str) -> "Kubectl":
        """Return the same client for another context of the kubeconfig."""
        flags = tuple(item for item in self.flags if not item.startswith("--context="))
        return replace(self, flags=(*flags, f"--context={context}"))

    def until(self, deadline: float) -> "Kubectl":
        """Return the same client, whose requests end at a time of the monotonic clock."""
        return replace(self, deadline=deadline)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return its output.

        Raises:
            KubectlError: The request failed.
        """
        now, limit_s = time.monotonic(), self._process_timeout_s
        if self.deadline is not None:
            limit_s = min(limit_s, self.deadline - now)
            if limit_s <= 0:
                raise KubectlError(Failure.HUNG, "the time of the command is over")
        code, output, errors = processes.completed(
            self.argv(*arguments), stdin, deadline=now + limit_s, limit_s=limit_s
        )
        if code:
            raise KubectlError(failure(errors), error_line(errors)[:MAX_ERROR])
        return output

    @property
    def _process_timeout_s(self) -> float:
        chosen = self.request_timeout_s
        if chosen is None:
            return PROCESS_TIMEOUT_S
        # kubectl sends several requests, each with the limit of the user.
        return PROCESS_TIMEOUT_S + 2 * chosen if chosen else UNLIMITED_S

    def json(self, *arguments: str, stdin: str | None = None) -> Any:
        """Run kubectl with JSON output and return the parsed document; None if it printed nothing.

        Raises:
            KubectlError: The request failed, or the output is not JSON.
        """
        output = self.run(*arguments, "--output=json", stdin=stdin)
        return _parsed(output) if output.strip() else None

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the objects of a list.

        Raises:
            KubectlError: The request failed.
        """
        found = self.json("get", *arguments)
        listed = found.get("items", [found]) if isinstance(found, dict) else []
        return [item for item in listed if isinstance(item, dict)]

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return an object, or None if it does not exist.

        Raises:
            KubectlError: The request failed.
        """
        found = self.json("get", kind, name, "--ignore-not-found")
        return found if isinstance(found, dict) else None

    def post(self, path: str, body: object) -> Any:
        """Send a POST to a path of the API server, and return the response.

        Raises:
            KubectlError: The request failed.
        """
        return _parsed(self.run("create", f"--raw={path}", "--filename=-", stdin=json.dumps(body)))

    def watch(
        self, kind: str, name: str, *, silence_s: float, deadline: float
    ) -> Iterator[dict[str, Any] | None]:
        """Yield each version of an object; None if the caller has to read it.

        That is so after `silence_s` seconds without a version, if it was deleted, and if the stream ended. `deadline`
        is a time of the monotonic clock. A stream that ends is opened again after a second.
        """
        while (left := deadline - time.monotonic()) > 0:
            argv = self.argv(
                *("get", kind, name, "--watch", "--output-watch-events", "--output=json"),
                f"--request-timeout={int(left) + 1}s",
                timeout=False,
            )
            # The caller reads the object, which shows whether an error lasts.
            with contextlib.suppress(KubectlError):
                yield from _stream(argv, silence_s=silence_s, deadline=deadline)
            yield None
            time.sleep(max(0.0, min(1.0, deadline - time.monotonic())))


def _names_namespace(arguments: Sequence[str]) -> bool:
    named = ("--namespace", "--all-namespaces", "-A", "-n", "--raw")
    return any(item in ("-A", "-n") or item.startswith(named) for item in arguments)


def _parsed(output: str) -> Any:
    try:
        return json.loads(output)
    except (ValueError, RecursionError) as error:
        raise KubectlError(Failure.NO_ANSWER, "the output of kubectl is not JSON") from error


def _stream(
    argv: Sequence[str], *, silence_s: float, deadline: float
) -> Iterator[dict[str, Any] | None]:
    """Yield the objects of one watch until it ends; None after each silence."""
    for line in processes.lines(argv, silence_s=silence_s, deadline=deadline):
        event = mapping(None if line is None else _parsed(line))
        found = event.get("object") if event.get("type") in ("ADDED", "MODIFIED") else None
        yield found if isinstance(found, dict) else None
