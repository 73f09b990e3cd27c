"""Strategies of another package in a real agent: one that trades, and one that cannot be loaded."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from support.agent_process import AgentFolder, AgentProcess
from support.exchange_double import ExchangeDouble

MODULE = """
def always_sell(closes):
    return -0.5
"""


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
