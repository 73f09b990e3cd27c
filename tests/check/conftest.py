"""Fixtures of the Agent check's tests. They run in .venv-check only (make test-check), because the dependencies of
Datadog's base classes conflict with ours."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

CHECK = Path(__file__).parents[2] / "agent_check"
HAS_BASE = find_spec("datadog_checks") is not None
collect_ignore_glob = [] if HAS_BASE else ["*"]
if HAS_BASE:
    # The Agent does the same with checks.d.
    sys.path.insert(0, str(CHECK))


class Agent:
    """The HTTP API of an agent on loopback, with answers that the test sets."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = json.loads(
            (Path(__file__).parent / "status.json").read_text()
        )
        self.code = 200
        self.raw: bytes | None = None
        self.paths: list[str] = []
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                agent.paths.append(self.path)
                body = json.dumps(agent.status).encode() if agent.raw is None else agent.raw
                self.send_response(agent.code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def agent() -> Iterator[Agent]:
    running = Agent()
    thread = threading.Thread(target=running.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.server.shutdown()
    running.server.server_close()
    thread.join()
