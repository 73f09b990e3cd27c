"""Receivers, the exchange double and agents for the tests of the agent."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ddtrace.trace import tracer

from purpleflea_sdk.settings import read_environment
from purpleflea_sdk.telemetry import metrics
from purpleflea_sdk.telemetry.dogstatsd import Emitter, create_emitter
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink
from support.receivers.trace_agent import TraceAgent


@pytest.fixture(scope="session", autouse=True)
def no_traces_from_the_tests_themselves() -> None:
    tracer.enabled = False


@pytest.fixture(scope="session")
def trace_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TraceAgent]:
    with TraceAgent(tmp_path_factory.mktemp("trace-agent")) as agent:
        yield agent


@pytest.fixture(scope="session")
def doubles() -> Iterator[list[ExchangeDouble]]:
    started: list[ExchangeDouble] = []
    yield started
    for double in started:
        double.close()


@pytest.fixture
def exchange(doubles: list[ExchangeDouble]) -> ExchangeDouble:
    """A reset exchange: the one of the last test, unless that test closed it. A start takes a quarter of a second."""
    if not doubles or doubles[-1].is_closed:
        doubles.append(ExchangeDouble())
    doubles[-1].reset()
    return doubles[-1]


@pytest.fixture
def folder(tmp_path: Path, exchange: ExchangeDouble) -> AgentFolder:
    """The mounts of an agent that uses the exchange double."""
    return AgentFolder(tmp_path / "agent", exchange.endpoints)


@pytest.fixture
def mounts(tmp_path: Path) -> AgentFolder:
    """The mounts of an agent without an exchange."""
    return AgentFolder(tmp_path / "mounts", {})


@pytest.fixture
def sink() -> Iterator[DogStatsdSink]:
    with DogStatsdSink() as running:
        yield running


@pytest.fixture
def emitter(
    sink: DogStatsdSink, mounts: AgentFolder, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emitter]:
    """An emitter to the sink, installed in this process."""
    unified = {"DD_ENV": "test", "DD_SERVICE": "pf-agent", "DD_VERSION": "1.2.3"}
    for name, value in {**mounts.environment, **sink.environment, **unified}.items():
        monkeypatch.setenv(name, value)
    running = create_emitter(read_environment())
    metrics.install(running)
    yield running
    running.close()
    metrics.install(Emitter(None))
