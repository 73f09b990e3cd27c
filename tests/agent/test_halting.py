"""Halting: no money leaves after Halted or Stopped is acknowledged, whatever delays the agent before the send."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from purpleflea_agent.exchange.port import EscrowRequest
from purpleflea_agent.trading.errors import OrderRefused, OrderUnsettled
from purpleflea_contract import metrics
from purpleflea_contract.control import Mode
from purpleflea_sdk.control import ControlFile
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import PRICE, Parts, running_parts
from support.agent_process import TOKEN, AgentFolder, AgentProcess
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink
from support.waiting import wait_for

LOW = Decimal(1)


@pytest.fixture
def flatten() -> bool:
    return True


@pytest.fixture
async def parts(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    flatten: bool,
) -> AsyncIterator[Parts]:
    async with running_parts(
        folder, emitter, sink, endpoints=exchange.endpoints, flatten=flatten
    ) as running:
        yield running


def escrow(key: str) -> EscrowRequest:
    return EscrowRequest(idempotency_key=key, counterparty_id="agent_b", amount_usd=Decimal(25))


async def order(parts: Parts) -> None:
    await parts.buy("k1")


async def close(parts: Parts) -> None:
    await parts.orders.close_position("BTC-USD")


async def create(parts: Parts) -> None:
    await parts.escrows.create(escrow("e1"))


async def release(parts: Parts) -> None:
    await parts.escrows.release("esc_1")


async def claim(parts: Parts) -> None:
    parts.faucet.consider(LOW)
    await parts.faucet.finish()


async def nothing(_: Parts) -> None:
    return


async def a_position(parts: Parts) -> None:
    await parts.buy("k0")


async def an_escrow(parts: Parts) -> None:
    await parts.escrows.create(escrow("e0"))


Action = Callable[[Parts], Awaitable[None]]
ORDERS, ESCROWS = ("POST", "/v1/orders"), ("POST", "/v1/escrow")
RELEASE, CLAIM = ("POST", "/v1/escrow/esc_1/release"), ("POST", "/faucet/claim")


def delay_write(
    parts: Parts, method: str, during: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Make a write to the journal as slow as a stalled disk: `during` runs before it returns."""
    write = getattr(parts.journal, method)

    async def slow(*args: Any) -> Any:
        result = await write(*args)
        during()
        return result

    monkeypatch.setattr(parts.journal, method, slow)


@pytest.mark.parametrize(
    ("prepare", "act", "write", "sent", "before", "after"),
    [
        (nothing, order, "write", ORDERS, "Active", "Halted"),
        (nothing, order, "write", ORDERS, "Active", "Stopped"),
        (a_position, close, "write", ORDERS, "Stopped", "Halted"),
        (a_position, close, "write", ORDERS, "Stopped", "Active"),
        (nothing, create, "write_escrow", ESCROWS, "Active", "Halted"),
        (nothing, create, "write_escrow", ESCROWS, "Active", "Stopped"),
        (nothing, claim, "postpone_claims", CLAIM, "Active", "Stopped"),
        (nothing, claim, "postpone_claims", CLAIM, "Halted", "Stopped"),
    ],
)
async def test_nothing_is_sent_if_the_mode_changes_during_the_write_to_the_journal(
    parts: Parts,
    exchange: ExchangeDouble,
    folder: AgentFolder,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Action,
    act: Action,
    write: str,
    sent: tuple[str, str],
    before: str,
    after: str,
) -> None:
    await prepare(parts)
    await parts.account.refresh()
    folder.set_mode(before)
    requests = exchange.count(*sent)
    delay_write(parts, write, lambda: folder.set_mode(after), monkeypatch)
    if act is claim:
        await act(parts)
    else:
        with pytest.raises(OrderRefused, match=after.lower()):
            await act(parts)
    assert exchange.count(*sent) == requests
    assert not any(entry.is_unsettled for entry in await parts.journal.unfinished())
    assert await parts.journal.unfinished_escrows() == []


@pytest.mark.parametrize(("act", "write"), [(order, "write"), (create, "write_escrow")])
async def test_a_request_that_a_halt_stopped_is_counted_as_refused_and_its_key_is_free(
    parts: Parts,
    folder: AgentFolder,
    monkeypatch: pytest.MonkeyPatch,
    act: Action,
    write: str,
) -> None:
    with monkeypatch.context() as slow:
        delay_write(parts, write, lambda: folder.set_mode("Halted"), slow)
        with pytest.raises(OrderRefused, match="halted"):
            await act(parts)
    assert (await parts.journal.counts(), await parts.journal.escrow_counts()) == ({}, {})
    assert (await parts.journal.today())[1]["orders"] == 0
    assert [point.tag("reason") for point in parts.sent(metrics.RISK_REFUSALS)] == ["halted"]
    folder.set_mode("Active")
    await act(parts)


@pytest.mark.parametrize(
    ("prepare", "act", "sent", "before", "after"),
    [
        (nothing, order, ORDERS, "Active", "Halted"),
        (nothing, order, ORDERS, "Active", "Stopped"),
        (a_position, close, ORDERS, "Stopped", "Halted"),
        (nothing, create, ESCROWS, "Active", "Halted"),
        (an_escrow, release, RELEASE, "Active", "Stopped"),
        (nothing, claim, CLAIM, "Active", "Stopped"),
    ],
)
async def test_a_halt_is_acknowledged_only_after_the_answer_to_requests_in_flight(
    parts: Parts,
    exchange: ExchangeDouble,
    folder: AgentFolder,
    prepare: Action,
    act: Action,
    sent: tuple[str, str],
    before: str,
    after: str,
) -> None:
    await prepare(parts)
    await parts.account.refresh()
    folder.set_mode(before)
    requests = exchange.count(*sent)
    exchange.answers.clear()
    sending = asyncio.create_task(act(parts))  # type: ignore[arg-type]
    try:
        await asyncio.to_thread(
            wait_for, lambda: exchange.count(*sent) > requests, what="the request"
        )
        folder.set_mode(after)
        parts.control.refresh()
        assert not await parts.control.wait_until_applied(0.01)
        acknowledged = parts.control.acknowledged(at_rest=True)
        assert (acknowledged.mode, acknowledged.at_rest) == (Mode(before), False)
        assert acknowledged.sending
    finally:
        exchange.answers.set()
    assert await parts.control.wait_until_applied()
    acknowledged = parts.control.acknowledged(at_rest=True)
    assert (acknowledged.mode, acknowledged.at_rest) == (Mode(after), True)
    await asyncio.wait({sending})


async def test_a_request_that_the_mode_allows_does_not_delay_the_acknowledgement(
    parts: Parts, folder: AgentFolder
) -> None:
    folder.set_mode("Stopped")
    with parts.control.sending(lambda: parts.control.close_block_reason):
        assert await parts.control.wait_until_applied(0)
        assert parts.control.acknowledged(at_rest=False).mode is Mode.STOPPED


def test_the_acknowledgement_has_the_generation_of_the_mode_that_is_applied(
    mounts: AgentFolder,
) -> None:
    control = ControlFile(mounts.config / "control.json")
    since = control.since
    with control.sending(lambda: control.block_reason):
        mounts.config.joinpath("control.json").write_text('{"mode": "Halted", "generation": 8}')
        control.refresh()
        acknowledged = control.acknowledged(at_rest=True)
        assert (acknowledged.generation, acknowledged.since) == (7, since)
    assert control.acknowledged(at_rest=True).generation == 8


@pytest.fixture
async def watching(parts: Parts) -> AsyncIterator[Parts]:
    watch = asyncio.create_task(parts.shutdown.watch())
    yield parts
    watch.cancel()


def statuses(exchange: ExchangeDouble) -> list[str]:
    return [order["status"] for order in exchange.orders.values()]


async def settled(until: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_for, until, what="the end of the resting orders")


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("mode", ["Halted", "Stopped"])
async def test_halted_and_stopped_cancel_resting_orders(
    watching: Parts, exchange: ExchangeDouble, folder: AgentFolder, mode: str
) -> None:
    for number in range(3):
        await watching.buy(f"k{number}", limit=PRICE)
    folder.set_mode(mode)
    watching.control.refresh()
    await settled(lambda: statuses(exchange) == ["cancelled"] * 3)
    await settled(lambda: watching.shutdown.incomplete is None)
    assert await watching.journal.counts() == {"cancelled": 3}
    assert exchange.count(*ORDERS) == 3


async def test_active_keeps_resting_orders(watching: Parts, exchange: ExchangeDouble) -> None:
    await watching.buy("k1", limit=PRICE)
    with pytest.raises(OrderRefused, match="active"):
        await watching.orders.cancel_resting()
    assert statuses(exchange) == ["open"]


@pytest.mark.parametrize("flatten", [False])
@pytest.mark.parametrize("mode", ["Halted", "Stopped"])
@pytest.mark.parametrize("status", [403, 404, 429])
async def test_a_resting_order_that_stays_open_is_named_until_it_is_canceled(
    watching: Parts, exchange: ExchangeDouble, folder: AgentFolder, mode: str, status: int
) -> None:
    await watching.buy("k1", limit=PRICE)
    exchange.faults.cancels_refused_with = status
    folder.set_mode(mode)
    watching.control.refresh()
    await settled(lambda: "resting orders: BTC-USD" in str(watching.shutdown.incomplete))
    assert [entry.is_resting for entry in await watching.journal.unfinished()] == [True]
    exchange.faults.cancels_refused_with = 0
    await settled(lambda: watching.shutdown.incomplete is None)
    assert statuses(exchange) == ["cancelled"]


async def test_an_order_that_begins_to_rest_during_a_halt_is_canceled(
    watching: Parts, exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    exchange.faults.lose_answers_after_commit = 1
    exchange.faults.hide_orders = True
    with pytest.raises(OrderUnsettled):
        await watching.buy("k1", limit=PRICE)
    folder.set_mode("Halted")
    watching.control.refresh()
    await settled(lambda: watching.shutdown.incomplete == "orders of unknown outcome: BTC-USD")
    exchange.faults.hide_orders = False
    await settled(lambda: statuses(exchange) == ["cancelled"])


@pytest.mark.parametrize("mode", ["Halted", "Stopped"])
def test_the_acknowledgement_is_drained_only_without_open_orders(
    exchange: ExchangeDouble, folder: AgentFolder, mode: str
) -> None:
    exchange.closes = ("60000",) * 50  # no signal
    with AgentProcess(folder, {"PURPLEFLEA_GRACE_PERIOD_S": "20"}) as agent:
        agent.wait_until_ready()
        order = {"market": "BTC-USD", "side": "buy", "size": "0.01", "type": "limit"}
        token = {"Authorization": f"Bearer {TOKEN}"}
        body = {**order, "price": "50000"}
        assert agent.http.post("/v1/trade", json=body, headers=token).status_code == 201
        exchange.faults.cancels_refused_with = 403
        folder.set_mode(mode)

        def acknowledged() -> Any:
            return agent.http.get("/v1/control").json()

        wait_for(
            lambda: "resting orders: BTC-USD" in str(acknowledged()["left_undone"]),
            what="the open order named",
            timeout_s=40,  # in mode Stopped, after the deadline
        )
        assert (acknowledged()["mode"], acknowledged()["at_rest"]) == (mode, False)
        exchange.faults.cancels_refused_with = 0
        wait_for(lambda: acknowledged()["at_rest"], what="the drained state", timeout_s=10)
        assert (acknowledged()["left_undone"], statuses(exchange)) == (None, ["cancelled"])


@pytest.mark.parametrize("mode", ["Halted", "Stopped"])
def test_resting_orders_that_are_kept_are_named_and_do_not_block_the_halt(
    exchange: ExchangeDouble, tmp_path: Path, mode: str
) -> None:
    exchange.closes = ("60000",) * 50  # no signal
    trading = {"interval": "1s", "restingOrders": "Keep"}
    folder = AgentFolder(tmp_path / "kept", exchange.endpoints, trading=trading)
    with AgentProcess(folder, {}) as agent:
        agent.wait_until_ready()
        order = {"market": "BTC-USD", "side": "buy", "size": "0.01", "type": "limit"}
        token = {"Authorization": f"Bearer {TOKEN}"}
        body = {**order, "price": "50000"}
        assert agent.http.post("/v1/trade", json=body, headers=token).status_code == 201
        folder.set_mode(mode)

        def acknowledged() -> Any:
            return agent.http.get("/v1/control").json()

        wait_for(
            lambda: acknowledged()["at_rest"] and acknowledged()["left_undone"],
            what="the drained state",
        )
        assert acknowledged()["left_undone"] == "resting orders that are kept: BTC-USD ord_1"
        assert statuses(exchange) == ["open"]
        folder.set_mode("Active")
        wait_for(lambda: acknowledged()["left_undone"] is None, what="the mode Active")


def test_a_request_of_another_thread_is_either_blocked_or_in_flight(tmp_path: Path) -> None:
    """The thread loses the processor between the check of the mode and the record of its request."""
    path = tmp_path / "control.json"
    path.write_text('{"mode": "Active"}')
    control, checked, go_on = ControlFile(path), threading.Event(), threading.Event()
    answered, answers = threading.Event(), []

    def block_reason() -> str | None:
        reason = control.block_reason
        if not checked.is_set():
            checked.set()
            go_on.wait(10)
        return reason

    def send() -> None:
        with control.sending(block_reason):
            answered.wait(10)

    def acknowledge() -> None:
        control.refresh()
        answers.append(control.acknowledged(at_rest=True))

    threads = [threading.Thread(target=send), threading.Thread(target=acknowledge)]
    threads[0].start()
    assert checked.wait(10)
    path.write_text('{"mode": "Halted"}')
    threads[1].start()
    threads[1].join(0.3)  # the time in which the acknowledgement would be too early
    go_on.set()
    threads[1].join(10)
    assert [(item.mode, item.sending, item.at_rest) for item in answers] == [
        (Mode.ACTIVE, True, False)
    ]
    answered.set()
    threads[0].join(10)
    acknowledge()
    assert (answers[-1].mode, answers[-1].sending, answers[-1].at_rest) == (
        Mode.HALTED,
        False,
        True,
    )
