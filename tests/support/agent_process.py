"""The agent as a real process, started as in its image, with its standard output captured line by line."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from purpleflea_agent.journal.journal import FILE_NAME
from purpleflea_agent.journal.store import JournalStore
from support.exchange_double import KEY
from support.waiting import wait_for

TOKEN = "operator-token-0123456789"
START_TIMEOUT_S = 30.0
AS_IN_THE_IMAGE = {
    "PYTHONUNBUFFERED": "1",
    "DD_CODE_ORIGIN_FOR_SPANS_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
}
SHORTEST_PIPE = 4096
INHERITED = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")


SETTLE_S, SETTLE_LIMIT_S = 0.05, 1.0
"""The output is read once no line was added for this long, and at the latest after the limit."""
TRADING = {"interval": "1s", "orderSize": "0.01", "signalThreshold": "0"}


def settings(endpoints: dict[str, str], **more: Any) -> dict[str, Any]:
    """Return settings.json of an agent that trades one market every second with any signal."""
    return {
        "strategy": "momentum",
        "markets": ["BTC-USD"],
        "api": {"endpoints": endpoints},
        "trading": TRADING,
        **more,
    }


class AgentFolder:
    """The mounts of the pod of an agent."""

    def __init__(self, root: Path, endpoints: dict[str, str], **more: Any) -> None:
        """Create the files; the agent has confirmed its positions before, until `forget_journal` is called."""
        self.root = root
        self.config = root / "config"
        self.state = root / "state"
        self.key_file = root / "api-key"
        self.token_file = root / "token"
        self.config.mkdir(parents=True)
        self.config.joinpath("settings.json").write_text(json.dumps(settings(endpoints, **more)))
        self.set_mode("Active")
        self.key_file.write_text(KEY + "\n")
        self.token_file.write_text(TOKEN)
        store = JournalStore(self.state / FILE_NAME)
        store.confirm_positions()
        store.close()

    def forget_journal(self) -> None:
        """Remove the journal, as in a new pod without a volume."""
        shutil.rmtree(self.state)

    def set_mode(self, mode: str, *, flatten: bool = False) -> None:
        """Write control.json as the kubelet does: a new file replaces the old file."""
        written = self.config / "control.new"
        more = {"flatten": True} if flatten else {}
        written.write_text(json.dumps({"mode": mode, "generation": 7, **more}))
        written.replace(self.config / "control.json")

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the operator, without those of Datadog."""
        return {
            "PURPLEFLEA_AGENT_ID": "momentum-0",
            "PURPLEFLEA_CONFIG_DIR": str(self.config),
            "PURPLEFLEA_STATE_DIR": str(self.state),
            "PURPLEFLEA_API_KEY_FILE": str(self.key_file),
            "PURPLEFLEA_API_TOKEN_FILE": str(self.token_file),
            "PURPLEFLEA_HTTP_HOST": "127.0.0.1",
            "PURPLEFLEA_HTTP_PORT": "0",
        }


class AgentProcess:
    """A running agent. Use it as a context manager."""

    def __init__(
        self,
        folder: AgentFolder,
        environment: Mapping[str, str],
        *,
        is_traced: bool = True,
        program: Sequence[str] = ("-m", "purpleflea_agent"),
        python: str = sys.executable,
        is_read: bool = True,
    ) -> None:
        """Start it as in its image, or without ddtrace-run, or as another program, or in another environment.

        Without `is_read` its standard output is a short pipe that is not read before `read_output`.
        """
        tracing = [str(Path(sys.executable).with_name("ddtrace-run"))] if is_traced else []
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self._environment = {
            **inherited,
            **AS_IN_THE_IMAGE,
            **folder.environment,
            **environment,
        }
        self._process = subprocess.Popen(
            [*tracing, python, *program],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=parts, daemon=True)
            for parts in (
                (self._process.stdout, self.stdout),
                (self._process.stderr, self.stderr),
            )
        ]
        if is_read:
            self.read_output()
        else:
            fcntl.fcntl(self._process.stdout or 0, fcntl.F_SETPIPE_SZ, SHORTEST_PIPE)
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def read_output(self) -> None:
        """Start to read the standard output."""
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def output(self) -> str:
        """Everything the process printed."""
        return "\n".join([*self.stdout, *self.stderr])

    @property
    def http(self) -> httpx.Client:
        """A client of the HTTP API of the agent; it waits until the agent listens."""
        if self._client is None:
            port = wait_for(self._port, what="the agent's port", timeout_s=START_TIMEOUT_S)
            self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=15)
        return self._client

    def lines(self, event_type: str | None = None) -> list[dict[str, Any]]:
        """Return all log lines, or the lines of one event.

        A thread of the process writes them, so the last one can follow the response of the request that caused it.
        """
        self._settle()
        parsed = [json.loads(line) for line in tuple(self.stdout)]
        return [line for line in parsed if event_type in (None, line.get("event_type"))]

    def _settle(self) -> None:
        seen, deadline = -1, time.monotonic() + SETTLE_LIMIT_S
        while seen != len(self.stdout) and time.monotonic() < deadline:
            seen = len(self.stdout)
            time.sleep(SETTLE_S)

    def wait_for_line(self, event_type: str, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Wait for the first log line of an event and return it."""
        what = f"a line {event_type}"
        return wait_for(lambda: self.lines(event_type), what=what, timeout_s=timeout_s)[0]

    def wait_until_ready(self) -> None:
        """Wait for /readyz."""
        wait_for(lambda: self.probe("/readyz") == 200, what="readiness", timeout_s=START_TIMEOUT_S)

    def probe(self, path: str) -> int | None:
        """Return the status code of a path, or None while no server listens."""
        try:
            return self.http.get(path).status_code
        except httpx.TransportError:
            return None

    def status(self) -> dict[str, Any]:
        """Return the answer of /v1/status to a request with the token."""
        answer = self.http.get("/v1/status", headers={"Authorization": f"Bearer {TOKEN}"})
        status: dict[str, Any] = answer.raise_for_status().json()
        return status

    def terminate(self, timeout_s: float = 20.0) -> int:
        """Send SIGTERM as the kubelet does; return the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = START_TIMEOUT_S) -> int:
        """Wait until the process ends; return its exit code."""
        code = self._process.wait(timeout_s)
        for reader in self._readers:
            if reader.ident is not None:
                reader.join(timeout_s)
        return code

    def kill(self) -> None:
        """Send SIGKILL, to simulate a crash."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process in any state."""
        if self._client is not None:
            self._client.close()
        if self._process.poll() is None:
            self.kill()
        for reader, stream in zip(
            self._readers, (self._process.stdout, self._process.stderr), strict=True
        ):
            if reader.ident is not None:
                reader.join(5)
            if stream is not None:
                stream.close()

    def _port(self) -> int | None:
        if self._process.poll() is not None:
            raise AssertionError(f"the agent ended with {self._process.returncode}: {self.output}")
        port = int(self._environment["PURPLEFLEA_HTTP_PORT"])
        if port:
            return port
        for line in self.lines():
            if "http_port" in line:
                return int(line["http_port"])
        return None

    @staticmethod
    def _read(stream: Any, into: list[str]) -> None:
        for line in stream:
            into.append(line.rstrip("\n"))  # noqa: PERF401 - other threads read the list meanwhile
