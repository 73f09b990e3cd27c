"""Remote configuration of ddtrace: off in the image, in our agent, and in every process that uses the library."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.agent_process import AS_IN_THE_IMAGE, AgentFolder, AgentProcess
from support.receivers.trace_agent import TraceAgent

USES_THE_LIBRARY = """
import sys, time
from purpleflea_agent import logs, metrics, tracing
from purpleflea_contract import spans

with tracing.span(spans.SIGNAL_COMPUTE, market="BTC-USD"):
    pass
import ddtrace.auto
from ddtrace.internal.remoteconfig.worker import remoteconfig_poller

time.sleep(0.3)
remoteconfig_poller.enable()
sys.stderr.write(remoteconfig_poller.status.name)
"""
VARIABLE = "DD_REMOTE_CONFIGURATION_ENABLED"
DDTRACE_RUN = str(Path(sys.executable).with_name("ddtrace-run"))


def test_the_image_sets_the_variables_of_the_tests(repository: Path) -> None:
    dockerfile = (repository / "agent_image" / "Dockerfile").read_text()
    for name, value in AS_IN_THE_IMAGE.items():
        assert f"{name}={value}" in dockerfile
    assert AS_IN_THE_IMAGE[VARIABLE] == "false"


@pytest.mark.parametrize("command", [[sys.executable], [DDTRACE_RUN, sys.executable]])
@pytest.mark.parametrize(
    ("environment", "status"),
    [({}, "STOPPED"), ({VARIABLE: "false"}, "STOPPED"), ({VARIABLE: "true"}, "RUNNING")],
)
def test_the_library_disables_it_unless_the_environment_enables_it(
    mounts: AgentFolder,
    trace_agent: TraceAgent,
    command: list[str],
    environment: dict[str, str],
    status: str,
) -> None:
    done = subprocess.run(
        [*command, "-c", USES_THE_LIBRARY],
        env={
            "PATH": "/usr/bin:/bin",
            **mounts.environment,
            **trace_agent.environment,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr.endswith(status)


def test_the_agent_requests_no_configuration_from_the_node_agent(
    folder: AgentFolder, trace_agent: TraceAgent
) -> None:
    environment = {**trace_agent.environment, "DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS": "0.1"}
    trace_agent.clear()
    with AgentProcess(folder, environment) as agent:
        agent.wait_until_ready()
        agent.wait_for_line("trade_executed")
        trace_agent.wait_for("agent.trading.interval")
        assert [path for path in trace_agent.paths() if "config" in path] == []
