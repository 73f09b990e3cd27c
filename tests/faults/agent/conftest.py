"""The paper exchange and agents for fault tests. PURPLEFLEA_FAULTS=full runs the long lists."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from ddtrace.trace import tracer

from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import Clock, Parts, running_parts
from support.agent_process import TRADING, AgentFolder
from support.paper_exchange import PaperExchange
from support.receivers.dogstatsd import DogStatsdSink

MARKETS = ["BTC-USD", "ETH-USD", "SOL-USD"]
GENEROUS = {
    "maxOrderUsd": "1000000",
    "maxDrawdownPct": 100,
    "maxOrdersPerMinute": 600,
}


@pytest.fixture(scope="session", autouse=True)
def no_traces_from_the_tests_themselves() -> None:
    tracer.enabled = False


@pytest.fixture(scope="session")
def is_full_run() -> bool:
    """True if the long lists run (make test-faults)."""
    return os.environ.get("PURPLEFLEA_FAULTS") == "full"


@pytest.fixture
def exchange() -> Iterator[PaperExchange]:
    with PaperExchange() as running:
        yield running


@pytest.fixture
def trading() -> dict[str, str]:
    """The settings of the trading, which a module may replace."""
    return TRADING


@pytest.fixture
def folder(tmp_path: Path, exchange: PaperExchange, trading: dict[str, str]) -> AgentFolder:
    """The mounts of an agent that trades three markets every second with any signal."""
    more = {"risk": GENEROUS, "markets": MARKETS, "trading": trading}
    return AgentFolder(tmp_path / "agent", exchange.endpoints, **more)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(
    folder: AgentFolder, exchange: PaperExchange, clock: Clock
) -> Iterator[Callable[[], AbstractAsyncContextManager[Parts]]]:
    """Open the parts of an agent on one journal in this process; a second call is a restart."""
    with DogStatsdSink() as sink:
        yield lambda: running_parts(
            folder, Emitter(None), sink, endpoints=exchange.endpoints, clock=clock, markets=MARKETS
        )
