"""Strategies of another package in a real agent: one that trades, and one that cannot be loaded."""

import json
import time
from decimal import Decimal
from pathlib import Path

import pytest

from purpleflea_agent.trading import strategy_loading
from purpleflea_agent.trading.strategy_loading import UnknownStrategy
from support.agent_process import AgentFolder, AgentProcess
from support.exchange_double import ExchangeDouble
from support.waiting import wait_for

MODULE = """
import sys, time

def always_sell(closes):
    return -0.5

def never_returns(closes):
    time.sleep(3600)

def computes_forever(closes):
    while True:
        pass

def exits(closes):
    sys.exit(5)
"""
EXIT_S = 8.0
"""Far below the time that an agent waits for a strategy, plus a margin for a busy machine."""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment with an installed package that has two entry points."""
    packages = tmp_path / "packages"
    metadata = packages / "pessimism-1.0.dist-info"
    metadata.mkdir(parents=True)
    (packages / "pessimism.py").write_text(MODULE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pessimism\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[purpleflea.strategies]\n"
        "always-sell = pessimism:always_sell\n"
        "never-returns = pessimism:never_returns\n"
        "computes-forever = pessimism:computes_forever\n"
        "exits = pessimism:exits\n"
        "broken = pessimism.missing:strategy\n"
    )
    return {"PYTHONPATH": str(packages)}


def choose(folder: AgentFolder, strategy: str) -> None:
    path = folder.config / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "strategy": strategy}))


def test_a_registered_strategy_that_returns_floats_trades(
    folder: AgentFolder, exchange: ExchangeDouble, installed: dict[str, str]
) -> None:
    choose(folder, "always-sell")
    with AgentProcess(folder, installed) as agent:
        trade = agent.wait_for_line("trade_executed")
        assert (trade["side"], trade["strategy"]) == ("sell", "always-sell")
        signal = agent.wait_for_line("signal_generated")
        assert signal["signal_value"] == -0.5
    sizes = {Decimal(order["size"]) for order in exchange.orders.values()}
    assert sizes == {Decimal("0.01")}


def test_a_strategy_that_cannot_be_loaded_is_one_log_line(
    folder: AgentFolder, installed: dict[str, str]
) -> None:
    choose(folder, "broken")
    with AgentProcess(folder, installed) as agent:
        assert agent.wait() == 2
        (line,) = agent.lines()
        assert (
            "the strategy 'broken' (pessimism.missing:strategy) cannot be loaded" in line["message"]
        )
        assert agent.stderr == []


@pytest.mark.parametrize("strategy", ["never-returns", "computes-forever"])
def test_a_strategy_that_never_returns_delays_no_probe_no_halt_and_no_exit(
    folder: AgentFolder, exchange: ExchangeDouble, installed: dict[str, str], strategy: str
) -> None:
    choose(folder, strategy)
    with AgentProcess(folder, installed) as agent:
        wait_for(
            lambda: "did not return" in agent.http.get("/readyz").text,
            what="readiness that names the strategy",
            timeout_s=60,
        )
        assert agent.probe("/healthz") == 200
        folder.set_mode("Halted")
        wait_for(lambda: agent.http.get("/v1/control").json()["at_rest"], what="the drained state")
        started = time.monotonic()
        assert agent.terminate() == 0
        assert time.monotonic() - started < EXIT_S
        assert agent.stderr == []
    assert exchange.orders == {}


def test_a_strategy_that_exits_ends_only_its_interval(
    folder: AgentFolder, installed: dict[str, str]
) -> None:
    choose(folder, "exits")
    with AgentProcess(folder, installed) as agent:
        wait_for(
            lambda: len([line for line in agent.lines() if "SystemExit: 5" in str(line)]) >= 2,
            what="two failed intervals",
            timeout_s=60,
        )
        assert agent.probe("/healthz") == 200
        assert agent.terminate() == 0


@pytest.mark.parametrize(
    ("code", "error"),
    [("import sys; sys.exit('bye')", "SystemExit: bye"), ("raise BaseException('panic')", "panic")],
)
def test_a_module_that_ends_the_process_is_an_unknown_strategy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: str
) -> None:
    (tmp_path / "ends_the_process.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnknownStrategy, match=error):
        strategy_loading.from_path("ends_the_process:f")
