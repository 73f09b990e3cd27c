"""`open_trading`: the page and its example as a user runs them, and its halts, ends and failures."""

import asyncio
import inspect
import json
import re
import shutil
import time
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest

from purpleflea_agent import open_trading
from purpleflea_agent.exchange import Order, OrderRequest, OrderStatus
from purpleflea_agent.paper import PaperExchange, SimulatedPrices
from purpleflea_contract import metrics
from purpleflea_contract.control import Acknowledgement
from purpleflea_sdk import Agent
from purpleflea_sdk.settings import read_environment
from support.agent_process import AgentFolder, AgentProcess
from support.receivers.dogstatsd import DogStatsdSink
from support.waiting import wait_for

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "own-trading-agent.md"
EXAMPLE = REPOSITORY / "examples" / "own-trading-agent"
PUBLIC = ("trading", "journal", "exchange", "paper")
RESTS = """
import sys, time
from decimal import Decimal
from purpleflea_agent import open_trading, serve
from purpleflea_agent.exchange import OrderRequest
from purpleflea_agent.paper import PaperExchange, SimulatedPrices

async def trade(agent):
    agent.not_ready = "no order yet"
    prices = SimulatedPrices(seed=1, monotonic=time.monotonic)
    paper = PaperExchange(prices, deposit_usd=Decimal(10_000), clock=time.time)
    async with open_trading(agent, exchange=paper, is_current=True) as trading:
        request = OrderRequest(
            idempotency_key="far", market="BTC-USD", side="buy", size=Decimal("0.01"),
            type="limit", price=Decimal(30_000),
        )
        order = await trading.orders.place(request, reference_price=prices.price("BTC-USD"))
        assert order.status == "open"
        agent.not_ready = None
        while not agent.is_stopping:
            if (agent.environment.state_dir / "fail").exists():
                raise RuntimeError("defect")
            await agent.sleep(0.05)

sys.exit(serve(trade))
"""


def acknowledged(agent: AgentProcess) -> Acknowledgement:
    return Acknowledgement.model_validate_json(agent.http.get("/v1/control").content)


@pytest.fixture
def resting(tmp_path: Path) -> list[str]:
    path = tmp_path / "agent.py"
    path.write_text(RESTS)
    return [str(path)]


def test_the_listing_is_the_file_of_the_example() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert (EXAMPLE / "agent.py").read_text().partition('"""\n\n')[2] == code


def test_the_commands_of_the_page_run_trade_and_halt_the_example(
    tmp_path: Path, sink: DogStatsdSink
) -> None:
    """Run the commands in their sequence; only the port is another one, and the client is not curl."""
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (prepares, starts), looks = blocks[0].splitlines(), blocks[1].splitlines()
    assert prepares == "mkdir -p config && cp settings.json config/"
    (tmp_path / "config").mkdir()
    shutil.copy(EXAMPLE / "settings.json", tmp_path / "config")
    variables = dict(re.findall(r"(PURPLEFLEA_\w+)=(\w+)", starts))
    assert starts.endswith(" python agent.py --paper")
    assert variables.keys() == {"PURPLEFLEA_CONFIG_DIR", "PURPLEFLEA_STATE_DIR"}
    folder = AgentFolder(tmp_path / "unused", {})
    environment = {
        **sink.environment,
        **{name: str(tmp_path / value) for name, value in variables.items()},
    }
    program = [str(EXAMPLE / "agent.py"), "--paper"]
    with AgentProcess(folder, environment, is_traced=False, program=program) as agent:
        agent.wait_until_ready()
        executed = sink.wait_for(metrics.ORDER_EXECUTIONS.name)
        assert (executed.tag("market"), executed.tag("status")) == ("btc-usd", "success")
        answers = {}
        for command in looks:
            if command.startswith("curl -s localhost:8000"):
                path = command.removeprefix("curl -s localhost:8000")
                answers[path] = agent.http.get(path)
            else:
                text, path = re.fullmatch(r"echo '(.*)' > (\S+)", command).groups()
                (tmp_path / path).write_text(text + "\n")
        assert answers["/readyz"].status_code == 200
        assert "agent_order_executions_total" in answers["/metrics"].text
        assert '"mode":"Halted"' in answers["/v1/control"].text
        assert '"at_rest":true' in answers["/v1/control"].text
        assert agent.terminate() == 0
        assert agent.stderr == []
    assert (tmp_path / "state" / "journal.sqlite3").exists()


def test_a_halt_cancels_the_resting_order_before_it_is_acknowledged_as_drained(
    mounts: AgentFolder, resting: list[str]
) -> None:
    with AgentProcess(mounts, {}, is_traced=False, program=resting) as agent:
        agent.wait_until_ready()
        assert acknowledged(agent).at_rest is False
        mounts.set_mode("Halted")
        first = acknowledged(agent)
        assert first.mode == "Halted"
        wait_for(lambda: acknowledged(agent).at_rest, what="the resting order is canceled")
        assert acknowledged(agent).left_undone is None
        assert agent.terminate() == 0


def test_stopped_closes_the_position_and_says_so(
    tmp_path: Path, sink: DogStatsdSink, mounts: AgentFolder
) -> None:
    settings = json.loads((EXAMPLE / "settings.json").read_text())
    settings["trading"] = {"flattenOnStop": True}
    (mounts.config / "settings.json").write_text(json.dumps(settings))
    program = [str(EXAMPLE / "agent.py"), "--paper"]
    with AgentProcess(mounts, sink.environment, is_traced=False, program=program) as agent:
        agent.wait_until_ready()
        sink.wait_for(metrics.ORDER_EXECUTIONS.name)
        mounts.set_mode("Stopped")
        wait_for(lambda: acknowledged(agent).at_rest, what="the agent is drained")
        assert acknowledged(agent).flattened is True
        assert agent.terminate() == 0


def test_an_error_in_the_loop_fails_the_probes_and_a_halt_names_the_open_work(
    mounts: AgentFolder, resting: list[str]
) -> None:
    with AgentProcess(mounts, {}, is_traced=False, program=resting) as agent:
        agent.wait_until_ready()
        (mounts.state / "fail").touch()
        wait_for(lambda: agent.probe("/healthz") == 503, what="the probe fails")
        assert agent.http.get("/readyz").json()["detail"].endswith("RuntimeError: defect")
        mounts.set_mode("Halted")
        halted = acknowledged(agent)
        assert (halted.mode, halted.at_rest) == ("Halted", False)
        assert "the next start looks up the open orders" in str(halted.left_undone)
        assert agent.terminate() == 1


def test_an_order_survives_the_kill_of_the_process_and_its_key_is_not_sent_again(
    mounts: AgentFolder, resting: list[str]
) -> None:
    with AgentProcess(mounts, {}, is_traced=False, program=resting) as agent:
        agent.wait_until_ready()
        agent.kill()
    # The exchange in the process is new, so an order that is sent again would get a new id and be found there.
    with AgentProcess(mounts, {}, is_traced=False, program=resting) as agent:
        agent.wait_until_ready()
        mounts.set_mode("Halted")
        assert acknowledged(agent).at_rest is False
        assert agent.terminate() == 0


class Panic(BaseException):
    """An error that is not an Exception, as libraries in Rust raise it."""


class Defective(PaperExchange):
    """An adapter that panics."""

    async def cancel_order(self, order_id: str) -> Order:
        raise Panic(order_id)


@pytest.fixture
def agent(mounts: AgentFolder, monkeypatch: pytest.MonkeyPatch) -> Agent:
    for name, value in mounts.environment.items():
        monkeypatch.setenv(name, value)
    return Agent(read_environment())


@pytest.mark.usefixtures("emitter")
async def test_the_end_of_a_background_task_ends_the_block_with_its_error(
    agent: Agent, mounts: AgentFolder
) -> None:
    with pytest.raises(Panic, match="paper-1"):
        await _rest_until_canceled(agent, mounts)
    assert agent.drain is not None
    assert (await agent.drain()).is_drained is False


async def _rest_until_canceled(agent: Agent, mounts: AgentFolder) -> None:
    prices = SimulatedPrices(seed=1, monotonic=time.monotonic)
    exchange = Defective(prices, deposit_usd=Decimal(10_000), clock=time.time)
    async with (
        asyncio.timeout(20),
        open_trading(agent, exchange=exchange, is_current=True) as trading,
    ):
        request = OrderRequest(
            idempotency_key="far",
            market="BTC-USD",
            side="buy",
            size=Decimal("0.01"),
            type="limit",
            price=Decimal(30_000),
        )
        order = await trading.orders.place(request, reference_price=Decimal(60_000))
        assert order.status is OrderStatus.OPEN
        mounts.set_mode("Halted")
        agent.control.refresh()
        await asyncio.Event().wait()


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_and_its_public_methods_are_documented(package: str) -> None:
    module = import_module(f"purpleflea_agent.{package}")
    for name in module.__all__:
        value = getattr(module, name)
        if not inspect.isclass(value):
            continue
        members = {
            key: member
            for key, member in vars(value).items()
            if not key.startswith("_")
            and (inspect.isfunction(member) or isinstance(member, property))
        }
        undocumented = [key for key, member in members.items() if not inspect.getdoc(member)]
        assert inspect.getdoc(value), name
        assert undocumented == [], name
