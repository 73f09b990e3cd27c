"""The clients, the node and the operator of one agent: operations and events, in a sequence chosen by the seed."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from purpleflea_agent.exchange.errors import ExchangeError, Refused
from purpleflea_agent.exchange.port import EscrowRequest, OrderRequest
from purpleflea_agent.journal import JournalError
from purpleflea_agent.trading.errors import EscrowUnsettled, KeyReused, OrderRefused, OrderUnsettled
from support.chaos.plan import MARKETS, ORDER_SIZES
from support.chaos.process import ChaosAgent, Process

if TYPE_CHECKING:
    from support.chaos.world import World

BETWEEN_OPERATIONS_S = (0.05, 1.5)
ACKNOWLEDGED_WITHIN_S = 10.0
"""Bound of a halt: longer than a request in flight can take."""
QUIET_AFTER_S = 40.0
ALREADY_KNOWN = (
    OrderRefused,
    OrderUnsettled,
    EscrowUnsettled,
    KeyReused,
    ExchangeError,
    JournalError,
)


class Driver:
    """Sends the operations of clients to one agent, and the events of its node and its operator."""

    def __init__(self, world: "World", agent: ChaosAgent) -> None:
        self._world, self._agent = world, agent
        self._plan, self._result = world.plan, world.result
        self._chance = world.plan.random("driver", agent.number)
        self._keys: list[tuple[str, OrderRequest]] = []
        self._escrow_ids: list[str] = []
        self._limited: set[str] = set()
        self._unknown: set[str] = set()
        self._number = 0
        self._next_event = world.loop.now + self._chance.uniform(5, world.plan.event_every_s)

    async def run(self) -> None:
        """Run all operations of the agent."""
        self._start()
        for number in range(self._plan.operations):
            if self._world.is_over:
                return
            await self._revive()
            if self._plan.events and self._world.loop.now >= self._next_event:
                pause = self._plan.event_every_s
                await self._event(self._chance.choice(self._plan.events))
                self._next_event = self._world.loop.now + self._chance.uniform(
                    pause / 2, pause * 1.5
                )
                await self._revive()
            await self._operate()
            self._result.operations += 1
            if number % 200 == 199:
                self._world.progress(f"{self._agent.name}: {number + 1} operations")
            await asyncio.sleep(self._chance.uniform(*BETWEEN_OPERATIONS_S))

    def _start(self) -> None:
        with contextlib.suppress(JournalError):
            self._agent.start()

    async def _revive(self) -> None:
        """Start a process if the last one ended, as the kubelet does."""
        process = self._agent.process
        if process is not None and process.is_dead:
            await process.reap()
            await asyncio.sleep(self._chance.uniform(0.1, 5.0))
            self._start()

    @property
    def _running(self) -> Process | None:
        process = self._agent.process
        return None if process is None or process.is_dead else process

    async def _operate(self) -> None:
        process = self._running
        if process is None:
            return
        operations = [self._trade] * 6 + [self._limit] * 2 + [self._repeat] * 2 + [self._cancel]
        operations += [self._open_escrow] * 2 + [self._end_escrow]
        task = process.task_of(self._chance.choice(operations)(process), "operation")
        # As a client of the agent's API: it waits for its answer, and the process may end meanwhile.
        while not task.done() and not process.is_dead:
            await asyncio.wait({task}, timeout=1.0)
        if process.is_dead:
            await process.reap()
            return
        self._result.outcomes[await task] += 1

    async def _place(self, process: Process, request: OrderRequest) -> str:
        """Send an order as the route of the agent does."""
        self._keys.append((request.idempotency_key, request))
        key = request.idempotency_key
        try:
            try:
                previous = await process.app.orders.find_by_key(request)
            except ExchangeError as error:
                self._check_reusable(key, error)
                raise
            if previous is not None:
                return f"known {previous.status.value}"
            closes = (
                await process.app.exchange.candles(request.market, interval="15s", limit=1)
            ).closes
            if not closes:
                return "no price"
            order = await process.app.orders.place(request, reference_price=closes[-1])
        except OrderRefused as refused:
            return f"refused: {refused.reason}"
        except ALREADY_KNOWN as error:
            self._limited.discard(key)  # it was sent again, with another outcome
            if isinstance(error, Refused) and error.status in (401, 429):
                self._limited.add(key)
            elif not isinstance(error, Refused):
                self._unknown.add(key)
            return type(error).__name__
        return order.status.value

    def _check_reusable(self, key: str, error: ExchangeError) -> None:
        """An order that was refused before any effect can be sent again under its key."""
        self._world.books.check(
            "a key refused with 401 or 429 can be used again",
            self._agent.name,
            self._world.loop.now,
            holds=key not in self._limited,
            detail=f"{key}: {error}",
        )

    def _request(self, **more: Any) -> OrderRequest:
        self._number += 1
        market = self._chance.choice(MARKETS)
        step = Decimal(ORDER_SIZES[market])
        return OrderRequest(
            idempotency_key=f"{self._agent.name}-{self._agent.epoch}-{self._number}",
            market=market,
            side=self._chance.choice(("buy", "sell")),
            size=step * self._chance.choice((1, 1, 1, 2)),
            **more,
        )

    async def _trade(self, process: Process) -> str:
        return await self._place(process, self._request())

    async def _limit(self, process: Process) -> str:
        request = self._request(type="limit")
        mark = self._world.books.lowest(request.market)
        price = mark * Decimal(self._chance.choice(("0.5", "0.97", "0.995", "1.01")))
        if request.side == "sell":
            price = mark * Decimal(self._chance.choice(("1.001", "1.01", "1.1")))
        return await self._place(
            process,
            OrderRequest(
                idempotency_key=request.idempotency_key,
                market=request.market,
                side=request.side,
                size=request.size,
                type="limit",
                price=round(price, 2),
            ),
        )

    async def _repeat(self, process: Process) -> str:
        """Send an order again under its key, as a client that received no answer."""
        if not self._keys:
            return "nothing to repeat"
        recent = self._keys[-20:]
        unclear = [item for item in recent if item[0] in self._limited | self._unknown]
        return await self._place(process, self._chance.choice(unclear or recent)[1])

    async def _cancel(self, process: Process) -> str:
        resting = [e for e in await process.app.journal.unfinished() if e.is_resting]
        if not resting:
            return "nothing to cancel"
        try:
            await process.app.orders.cancel(self._chance.choice(resting).request.idempotency_key)
        except ALREADY_KNOWN as error:
            return f"cancel: {type(error).__name__}"
        return "canceled"

    async def _open_escrow(self, process: Process) -> str:
        self._number += 1
        request = EscrowRequest(
            idempotency_key=f"escrow-{self._agent.name}-{self._agent.epoch}-{self._number}",
            counterparty_id=f"partner-{self._number % 3}",
            amount_usd=Decimal(self._chance.choice((10, 25, 40))),
        )
        try:
            escrow = await process.app.escrows.create(request)
        except ALREADY_KNOWN as error:
            return f"escrow: {type(error).__name__}"
        self._escrow_ids.append(escrow.escrow_id)
        return "escrow opened"

    async def _end_escrow(self, process: Process) -> str:
        if not self._escrow_ids:
            return "nothing to end"
        escrow_id = self._escrow_ids.pop(self._chance.randrange(len(self._escrow_ids)))
        change = self._chance.choice((process.app.escrows.release, process.app.escrows.cancel))
        try:
            await change(escrow_id)
        except ALREADY_KNOWN as error:
            self._escrow_ids.append(escrow_id)
            return f"end of an escrow: {type(error).__name__}"
        return "escrow ended"

    async def _event(self, kind: str) -> None:
        process = self._agent.process
        if process is None or process.is_dead:
            return
        self._result.events[kind] += 1
        match kind:
            case "kill":
                process.ends_in = self._chance.randrange(40)
            case "restart":
                await process.terminate()
            case "full disk":
                self._agent.fill_disk()
                self._later(self._agent.free_disk)
            case "slow disk":
                self._agent.slow_s = self._chance.choice((0.3, 2.0))
                self._later(lambda: setattr(self._agent, "slow_s", 0.0))
            case "clock step":
                self._agent.clock_step_s = self._chance.choice((0, 30, -30, 45, -90, -3_600))
            case "lost volume":
                if self._agent.is_ephemeral:
                    process.die()
                    await process.reap()
                    self._agent.lose_volume()
            case "halt":
                await self._halt(process, "Halted", flatten=False)
            case _:
                await self._halt(process, "Stopped", flatten=kind == "stop and flatten")

    def _later(self, work: Callable[[], Any]) -> None:
        def safely() -> None:
            with contextlib.suppress(sqlite3.Error):
                work()

        self._world.loop.call_later(self._chance.uniform(5, 40), safely)

    async def _halt(self, process: Process, mode: str, *, flatten: bool) -> None:
        """Halt the agent while it works, check the acknowledgement, and resume."""
        world, books = self._world, self._world.books
        sent = books.sent[self._agent.name]
        work = process.task_of(self._trade(process), "operation")
        await asyncio.sleep(self._chance.uniform(0, 0.4))
        began = world.loop.now
        self._agent.set_mode(mode, flatten=flatten)
        acknowledged = await self._acknowledgement(process, mode)
        if process.is_dead:
            sent.acknowledged = None
            await process.reap()
            self._agent.set_mode("Active")
            return
        took = world.loop.now - began
        self._result.slowest_halt_s = max(self._result.slowest_halt_s, took)
        books.check(
            "a halt is acknowledged in time",
            self._agent.name,
            world.loop.now,
            holds=acknowledged and took <= ACKNOWLEDGED_WITHIN_S,
            detail=f"{took:.1f} s",
        )
        if acknowledged:
            sent.acknowledged = mode
        await asyncio.sleep(self._chance.uniform(1, QUIET_AFTER_S))
        if not process.is_dead:
            await self._check_idle(process)
        sent.acknowledged = None
        self._agent.set_mode("Active")
        await asyncio.wait({work})

    async def _acknowledgement(self, process: Process, mode: str) -> bool:
        """Request acknowledgements, as the operator does, until one has the mode."""
        deadline = self._world.loop.now + 60
        while self._world.loop.now < deadline and not process.is_dead:
            control = process.app.control
            control.refresh()
            await control.wait_until_applied()
            answer = control.acknowledged(at_rest=False)
            if answer.mode.value == mode:
                return True
            await asyncio.sleep(0.5)
        return False

    async def _check_idle(self, process: Process) -> None:
        """A halted agent that reports that it is idle has no open order at the exchange."""
        task = process.task_of(process.app.drain.report(), "probe")
        await asyncio.wait({task}, timeout=30)
        if not task.done() or task.cancelled() or process.is_dead:
            return
        drain = task.result()
        if not drain.is_drained or drain.left_undone is not None or self._agent.is_ephemeral:
            return
        transit = self._world.books.sent[self._agent.name].in_transit
        known = {
            row["idempotency_key"]
            for row in self._agent.rows("SELECT * FROM orders WHERE status != 'failed'")
        }
        open_orders = [
            order.order_id
            for order in self._world.books.open_orders(self._agent)
            if order.request.idempotency_key not in transit
            and order.request.idempotency_key in known
        ]
        self._world.books.check(
            "no open order of an idle agent",
            self._agent.name,
            self._world.loop.now,
            holds=not open_orders,
            detail=open_orders,
        )
