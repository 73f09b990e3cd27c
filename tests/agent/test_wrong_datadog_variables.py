"""Variables of Datadog with a wrong value: the library is imported, and traces are off with one warning."""

import subprocess
import sys

import pytest

PROGRAM = """
from purpleflea_sdk.settings import Environment
from purpleflea_sdk.telemetry import metrics, tracing
from purpleflea_contract import spans

tracing.install(Environment())
with tracing.span(spans.INTERVAL):
    metrics.record_heartbeat()
print("works")
"""


@pytest.mark.parametrize(
    "variable",
    [
        "DD_DOGSTATSD_URL=http://x",
        "DD_DOGSTATSD_URL=udp://h:99999",
        "DD_DOGSTATSD_PORT=abc",
        "DD_TRACE_AGENT_URL=ftp://x",
        "DD_TRACE_AGENT_URL=unix://",
        "DD_AGENT_HOST=[::1",
        "DD_TRACE_AGENT_TIMEOUT_SECONDS=soon",
    ],
)
def test_a_wrong_variable_turns_traces_off_and_never_ends_the_agent(variable: str) -> None:
    name, _, value = variable.partition("=")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PATH": "/usr/bin:/bin", "DD_AGENT_HOST": "127.0.0.1", name: value},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.endswith("works\n"), done.stderr
    assert "ddtrace cannot be loaded (" in done.stderr
    assert "correct the variables DD_*" in done.stderr
