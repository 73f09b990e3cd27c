"""The test agent of Datadog (ddapm-test-agent) as a child process on a free port of loopback: the trace intake."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from support.waiting import wait_for

START_TIMEOUT_S = 30.0

JsonSpan = dict[str, Any]


class TraceAgent:
    """A running test agent. Use it as a context manager."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        """Listen on a free port, or on the port of an earlier server."""
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = (folder / "trace-agent.log").open("wb")
        command = [
            str(Path(sys.executable).with_name("ddapm-test-agent")),
            f"--port={self.port}",
            f"--otlp-http-port={free_port()}",
            f"--otlp-grpc-port={free_port()}",
        ]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, cwd=folder)
        self._client = httpx.Client(base_url=self.url, timeout=5)
        try:
            wait_for(self._answers, what="the trace agent's answer", timeout_s=START_TIMEOUT_S)
        except AssertionError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which an agent sends to this server."""
        return {"DD_TRACE_AGENT_URL": self.url}

    def traces(self) -> list[list[JsonSpan]]:
        """Return all traces received since the last clear."""
        answer: list[list[JsonSpan]] = self._client.get("/test/session/traces").json()
        return answer

    def spans(self, name: str | None = None) -> list[JsonSpan]:
        """Return all spans received since the last clear, or the spans of one name."""
        return [span for trace in self.traces() for span in trace if name in (None, span["name"])]

    def wait_for(
        self,
        name: str,
        matches: Callable[[JsonSpan], bool] = lambda _: True,
        *,
        timeout_s: float = 60.0,
    ) -> JsonSpan:
        """Wait for the first span of a name that matches and return it."""
        matching = wait_for(
            lambda: [span for span in self.spans(name) if matches(span)],
            what=f"a span {name}",
            timeout_s=timeout_s,
        )
        return matching[0]

    def paths(self) -> list[str]:
        """Return the URLs of all requests since the last clear."""
        return [item["url"] for item in self._client.get("/test/session/requests").json()]

    def clear(self) -> None:
        """Delete everything received."""
        self._client.get("/test/session/clear").raise_for_status()

    def close(self) -> None:
        """Stop the process."""
        self._client.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"the trace agent ended: {Path(self._log.name).read_text()}")
        try:
            return self._client.get("/info").is_success
        except httpx.TransportError:
            return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
