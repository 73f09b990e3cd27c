"""The kubectl of the user as a client: one process per request, with the user's flags.

The module must not decide anything. A request that kubectl does not finish is ended with its process.
"""

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kubectl_purpleflea.decisions.failures import Failure, failure, last_line

PROGRAM_VARIABLE = "PURPLEFLEA_KUBECTL"
"""Environment variable with the path of kubectl, if it is not on PATH."""
REQUEST_TIMEOUT_S = 10
PROCESS_TIMEOUT_S = 30.0
"""kubectl sends several requests before the first one of a command: discovery, credential plugins."""
MAX_ERROR = 2000


class KubectlError(Exception):
    """A request failed. `kind` is the cause, and the text is the error of kubectl."""

    def __init__(self, kind: Failure, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def is_ambiguous(self) -> bool:
        """Whether a write may have been performed although it failed."""
        return self.kind is Failure.NO_ANSWER


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """kubectl with the connection flags of the user."""

    flags: tuple[str, ...] = ()
    namespace: str = ""
    """The flag --namespace; empty for the namespace of the context."""
    has_timeout: bool = False
    """Whether the user set --request-timeout."""

    @property
    def program(self) -> str:
        """Path of kubectl."""
        return os.environ.get(PROGRAM_VARIABLE) or "kubectl"

    def argv(self, *arguments: str, timeout: bool = True) -> list[str]:
        """Return the command line of a request."""
        found = [self.program, *self.flags]
        if self.namespace and not _names_namespace(arguments):
            found.append(f"--namespace={self.namespace}")
        if timeout and not self.has_timeout:
            found.append(f"--request-timeout={REQUEST_TIMEOUT_S}s")
        return [*found, *arguments]

    def in_namespace(self, namespace: str) -> "Kubectl":
        """Return the same client for another namespace."""
        return replace(self, namespace=namespace)

    def in_context(self, context: str) -> "Kubectl":
        """Return the same client for another context of the kubeconfig."""
        flags = tuple(item for item in self.flags if not item.startswith("--context="))
        return replace(self, flags=(*flags, f"--context={context}"))

    def run(self, *arguments: str, stdin: str | None = None, timeout_s: float | None = None) -> str:
        """Run kubectl and return its output.

        Raises:
            KubectlError: The request failed.
        """
        limit_s = PROCESS_TIMEOUT_S if timeout_s is None else timeout_s
        try:
            done = subprocess.run(
                self.argv(*arguments),
                input=stdin,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=limit_s,
                check=False,
            )
        except FileNotFoundError as error:
            text = f"{self.program} is not found; install kubectl, or set {PROGRAM_VARIABLE} to its path"
            raise KubectlError(Failure.CONFIGURATION, text) from error
        except OSError as error:
            text = f"{self.program} cannot be started: {error.strerror}"
            raise KubectlError(Failure.CONFIGURATION, text) from error
        except subprocess.TimeoutExpired as error:
            text = f"kubectl did not end within {limit_s:g} s"
            raise KubectlError(Failure.NO_ANSWER, text) from error
        if done.returncode:
            message = last_line(done.stderr)[:MAX_ERROR]
            raise KubectlError(failure(done.stderr), message)
        return done.stdout

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
            yield from _stream(argv, silence_s=silence_s, deadline=deadline)
            yield None
            time.sleep(max(0.0, min(1.0, deadline - time.monotonic())))


def _names_namespace(arguments: Sequence[str]) -> bool:
    named = ("--namespace", "--all-namespaces", "-A", "-n", "--raw")
    return any(item in ("-A", "-n") or item.startswith(named) for item in arguments)


def _parsed(output: str) -> Any:
    try:
        return json.loads(output)
    except ValueError as error:
        raise KubectlError(Failure.NO_ANSWER, "the output of kubectl is not JSON") from error


def _stream(
    argv: Sequence[str], *, silence_s: float, deadline: float
) -> Iterator[dict[str, Any] | None]:
    """Yield the objects of one watch until it ends; None after each silence."""
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", errors="replace"
    )
    lines: queue.Queue[str | None] = queue.Queue()
    # A read of a pipe has no timeout, so a thread reads.
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    try:
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = lines.get(timeout=min(silence_s, left))
            except queue.Empty:
                yield None
                continue
            if line is None:
                return
            event = _parsed(line)
            yield event.get("object") if event.get("type") in ("ADDED", "MODIFIED") else None
    finally:
        process.kill()
        process.wait()


def _read(process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
    if process.stdout is not None:
        with process.stdout as stream:
            for line in stream:
                lines.put(line)
    lines.put(None)
