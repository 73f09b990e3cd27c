"""The distribution purpleflea-sdk alone: its wheel with the dependencies that it declares, in an empty environment.

docs/bring-your-own-agent.md has the command that installs it.
"""

import re
import tomllib
from pathlib import Path

import pytest

from purpleflea_contract import metrics
from purpleflea_contract.control import Acknowledgement
from support.agent_process import AgentFolder, AgentProcess
from support.installed_wheels import Installation, install
from support.receivers.dogstatsd import DogStatsdSink
from support.waiting import wait_for

AGENT = """\
import sys
from purpleflea_sdk import metrics, serve

async def trade(agent):
    while not agent.is_stopping:
        if (agent.environment.state_dir / "no-price").exists():
            raise RuntimeError("no price")
        metrics.record_heartbeat()
        await agent.sleep(0.1)
    metrics.record_pnl("BTC-USD", 1.5)

sys.exit(serve(trade))
"""
OPTIONAL = ("ddtrace", "fastapi", "starlette", "uvicorn", "httpx", "httpx2", "purpleflea_agent")
NEEDS_UVICORN = ("purpleflea_sdk.http.request_limits", "purpleflea_sdk.http.server")
IMPORTS_ALL = f"""
import importlib, importlib.util, pkgutil, purpleflea_sdk as sdk
assert not [name for name in {OPTIONAL} if importlib.util.find_spec(name)]
for name in sdk.__all__:
    getattr(sdk, name)
for module in pkgutil.walk_packages(sdk.__path__, "purpleflea_sdk."):
    if module.name not in {NEEDS_UVICORN}:
        importlib.import_module(module.name)
"""
TRACES = """
from purpleflea_sdk import tracing
from purpleflea_contract import spans
try:
    with tracing.span(spans.SIGNAL_COMPUTE, market="BTC-USD") as span:
        span.set(signal_value=0.5)
        span.fail(ValueError("handled"))
        raise KeyError("passes")
except KeyError:
    print("no span")
"""
SERVES_AN_APPLICATION = """
from purpleflea_sdk import serve
class App:
    class router:
        lifespan_context = None
serve(App())
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("sdk"), ["contract", "sdk"])


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    path = tmp_path / "agent.py"
    path.write_text(AGENT)
    return [str(path)]


def acknowledged(agent: AgentProcess) -> Acknowledgement:
    return Acknowledgement.model_validate_json(agent.http.get("/v1/control").content)


def test_every_module_is_imported_without_the_optional_packages(alone: Installation) -> None:
    done = alone.run(IMPORTS_ALL)
    assert done.returncode == 0, done.stderr


def test_an_agent_of_ten_lines_is_probed_halted_and_stopped_and_its_metrics_are_flushed(
    alone: Installation, mounts: AgentFolder, sink: DogStatsdSink, program: list[str]
) -> None:
    assert len(AGENT.splitlines()) - AGENT.splitlines().count("") <= 10
    with AgentProcess(
        mounts, sink.environment, is_traced=False, program=program, python=alone.python
    ) as agent:
        agent.wait_until_ready()
        assert agent.probe("/healthz") == 200
        assert acknowledged(agent).mode == "Active"
        sink.wait_for(metrics.HEARTBEAT.name)
        assert b"# TYPE" in agent.http.get("/metrics").content
        assert agent.http.get("/v1/status").json()["telemetry_dropped"] == 0
        mounts.set_mode("Halted")
        halted = acknowledged(agent)
        assert (halted.mode, halted.at_rest, halted.generation) == ("Halted", True, 7)
        assert agent.probe("/readyz") == 200
        assert sink.of(metrics.PNL.name) == []
        assert agent.terminate() == 0
        assert agent.stderr == []
    sink.catch_up()
    assert [point.values for point in sink.of(metrics.PNL.name)] == [(1.5,)]


def test_readiness_and_liveness_fail_when_the_loop_dies(
    alone: Installation, mounts: AgentFolder, program: list[str]
) -> None:
    with AgentProcess(mounts, {}, is_traced=False, program=program, python=alone.python) as agent:
        agent.wait_until_ready()
        (mounts.state / "no-price").touch()
        wait_for(lambda: agent.probe("/readyz") == 503, what="the probe fails")
        assert agent.probe("/healthz") == 503
        assert agent.http.get("/readyz").json()["detail"].endswith("RuntimeError: no price")
        assert agent.terminate() == 1


def test_without_ddtrace_spans_are_not_sent_and_one_line_says_so(
    alone: Installation,
) -> None:
    code = f"import os; os.environ['DD_AGENT_HOST'] = '127.0.0.1'\n{TRACES}"
    done = alone.run(code + "\nwith tracing.span(spans.SIGNAL_COMPUTE, market='x'): pass")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "no span\n"
    assert done.stderr.count("ddtrace is not installed") == 1


def test_an_application_without_uvicorn_is_an_error_with_the_remedy(alone: Installation) -> None:
    done = alone.run(SERVES_AN_APPLICATION)
    assert done.returncode == 1
    assert "an application needs uvicorn: pip install 'purpleflea-sdk[app]'" in done.stderr


@pytest.mark.parametrize("project", ["sdk", "contract"])
def test_a_dependency_is_a_wide_range(repository: Path, project: str) -> None:
    declared = tomllib.loads((repository / project / "pyproject.toml").read_text())["project"]
    optional = declared.get("optional-dependencies", {})
    for requirement in [
        *declared["dependencies"],
        *(one for all_ in optional.values() for one in all_),
    ]:
        if not requirement.startswith("purpleflea-"):
            # The next major version is the only upper bound, so no minor version conflicts with another package.
            assert re.fullmatch(r"[\w-]+>=[\d.]+,<\d+", requirement), requirement
        assert "==" not in requirement
