"""Schemathesis sends valid and invalid requests by the OpenAPI documents; no answer may be a server error."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.agent_process import TOKEN, AgentFolder, AgentProcess
from support.exchange_double import KEY
from support.paper_exchange import ADMIN_TOKEN, PaperExchange

EXAMPLES = {False: 20, True: 200}


def search(url: str, token: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Schemathesis against a served document; it exits with 1 if an answer is a 5xx."""
    command = [
        str(Path(sys.executable).with_name("st")),
        "run",
        f"{url}/openapi.json",
        "--checks=not_a_server_error",
        "--phases=examples,coverage,fuzzing",
        "--generation-deterministic",
        f"--header=Authorization: Bearer {token}",
        *options,
    ]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )


@pytest.mark.timeout(900)
def test_no_request_causes_a_server_error_of_the_agent(
    folder: AgentFolder, tmp_path: Path, is_full_run: bool
) -> None:
    with AgentProcess(folder, {}) as agent:
        agent.wait_until_ready()
        url = str(agent.http.base_url)
        done = search(url, TOKEN, tmp_path, f"--max-examples={EXAMPLES[is_full_run]}")
        assert done.returncode == 0, done.stdout + done.stderr
        assert agent.probe("/healthz") == 200
        assert agent.stderr == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("token", [KEY, ADMIN_TOKEN], ids=["as an agent", "as the admin"])
def test_no_request_causes_a_server_error_of_the_exchange(
    exchange: PaperExchange, tmp_path: Path, token: str, is_full_run: bool
) -> None:
    # Injected faults are server errors on purpose.
    options = (f"--max-examples={EXAMPLES[is_full_run]}", "--exclude-path=/faults")
    done = search(exchange.url, token, tmp_path, *options)
    assert done.returncode == 0, done.stdout + done.stderr
