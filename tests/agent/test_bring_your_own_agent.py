"""The example of a custom agent, as a process with real receivers; and the library without Datadog.

The tests with a cluster build and run its image.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from purpleflea_contract import metrics, spans
from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_contract.routes import ROUTES
from support.agent_process import AgentFolder, AgentProcess
from support.receivers.dogstatsd import DogStatsdSink
from support.receivers.trace_agent import TraceAgent, free_port

UNIFIED = {"DD_ENV": "demo", "DD_SERVICE": "custom", "DD_VERSION": "1.0.0"}
IMAGE = {"DD_CODE_ORIGIN_FOR_SPANS_ENABLED": "false"}
"""Variables of the base image."""
USES_THE_LIBRARY = """
from purpleflea_agent import logs, metrics, tracing
from purpleflea_contract import spans

logs.get_logger("mine").info("before")
with tracing.span(spans.SIGNAL_COMPUTE, market="BTC-USD"):
    metrics.record_pnl("BTC-USD", 1.5)
    metrics.record_heartbeat()
metrics.emitter().close()
"""


def test_the_example_agent_can_be_observed_halted_and_stopped(
    repository: Path, mounts: AgentFolder, sink: DogStatsdSink, trace_agent: TraceAgent
) -> None:
    trace_agent.clear()
    script = str(repository / "examples" / "custom-agent" / "agent.py")
    receivers = {**sink.environment, **trace_agent.environment}
    environment = {**IMAGE, **UNIFIED, **receivers, "PURPLEFLEA_HTTP_PORT": str(free_port())}
    with AgentProcess(mounts, environment, program=[script]) as agent:
        agent.wait_until_ready()
        for route in ROUTES:
            if route.required:
                assert agent.probe(route.path) == 200
        beat = sink.wait_for(metrics.HEARTBEAT.name)
        assert (beat.tag("agent_id"), beat.tag("service")) == ("momentum-0", "custom")
        span = trace_agent.wait_for(spans.SIGNAL_COMPUTE.name)
        assert (span["meta"]["agent_id"], span["service"]) == ("momentum-0", "custom")
        line = agent.wait_for_line("signal_generated")
        assert len(line["dd.trace_id"]) == 32
        assert acknowledged(agent).at_rest is False
        mounts.set_mode("Halted")
        assert (acknowledged(agent).mode, acknowledged(agent).at_rest) == (Mode.HALTED, True)
        assert agent.terminate() == 0
        assert agent.stderr == []


def acknowledged(agent: AgentProcess) -> Acknowledgement:
    """Return the acknowledgement as the operator reads it."""
    return Acknowledgement.model_validate_json(agent.http.get("/v1/control").content)


@pytest.mark.parametrize(
    ("environment", "lost"),
    [
        ({}, "metrics and traces are not sent"),
        ({"DD_TRACE_AGENT_URL": "http://127.0.0.1:9"}, ": metrics are not sent"),
        ({"DD_TRACE_ENABLED": "false"}, ": metrics are not sent"),
    ],
)
def test_the_library_runs_without_a_receiver_and_warns_once(
    mounts: AgentFolder, environment: dict[str, str], lost: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", USES_THE_LIBRARY],
        env={"PATH": "/usr/bin:/bin", **mounts.environment, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.count("are not sent") == done.stdout.count(lost) == 1
    assert done.stdout.count('"before"') == 1
    assert done.stderr == ""
