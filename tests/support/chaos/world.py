"""The exchange, the network and the agents of a chaos run.

The end of a run has no faults. Then the journal of each agent must equal the books of the exchange.
"""

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2

from purpleflea_sandbox.exchange.api.app import application
from purpleflea_sandbox.exchange.api.fault_bodies import FaultBody, fault
from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.settings import ExchangeSettings
from purpleflea_sandbox.exchange.venue.context import Terms
from support.chaos import network
from support.chaos.books import OWNER, Books
from support.chaos.comparison import compare, is_unfinished
from support.chaos.driver import Driver
from support.chaos.network import Connection, scope_of, server_task
from support.chaos.plan import Plan
from support.chaos.process import KEY, ChaosAgent, Process, ProcessEnded, current
from support.chaos.result import Result
from support.chaos.virtual_time import VirtualLoop

RICH = Decimal(10) ** 7
TICK_S = 1.0
AFTER_SETTLED_S = 100.0
"""Time for late look-ups, and for reports that differ from our own fills to be trusted."""


class World:
    """The exchange, the network and the agents of one run."""

    def __init__(
        self, plan: Plan, loop: VirtualLoop, folder: Path, progress: Callable[[str], None]
    ) -> None:
        self.plan, self.loop, self.progress = plan, loop, progress
        self.result = Result(plan=plan)
        keys = folder / "keys"
        keys.write_text(f"{KEY} {OWNER}\n")
        self.state = AppState.open(
            ExchangeSettings(
                keys_file=keys,
                rate_limit_per_minute=10_000_000,
                terms=Terms(seed=plan.seed, start_balance_usd=RICH),
            ),
            lambda: int(loop.wall() * 1_000),
        )
        self.app = application(self.state)
        self.books = Books(plan, self.state)
        self.agents = [
            ChaosAgent(plan, number, folder, loop, self.result.events)
            for number in range(plan.first_agent, plan.first_agent + plan.agents)
        ]
        self._by_name = {agent.name: agent for agent in self.agents}
        self._network = {agent.name: plan.random("network", agent.number) for agent in self.agents}
        self._is_quiet = False
        self._first = loop.now

    @property
    def is_over(self) -> bool:
        """True if the run ends at the first violation, and there is one."""
        return self.plan.stop_at_first and bool(self.books.violations)

    async def main(self) -> None:
        """Run all agents; then check the books."""
        ticker = asyncio.create_task(self._tick(), name="exchange")
        weather = asyncio.create_task(self._change_weather(), name="weather")
        async with asyncio.TaskGroup() as group:
            for agent in self.agents:
                group.create_task(Driver(self, agent).run(), name=agent.name)
        weather.cancel()
        self._quiet()
        if not self.is_over:
            await self._settle()
        for agent in self.agents:
            if agent.process is not None and not agent.process.is_dead:
                await agent.process.terminate()
        ticker.cancel()
        self.result.simulated_s = self.loop.now - self._first
        self.state.close()

    async def request(self, request: Any) -> Any:
        """Send a request of an agent over the network."""
        agent = self._by_name[request.headers["X-Agent-Id"]]
        process = current.get() or agent.process
        assert process is not None
        self.result.requests += 1
        is_money = request.method == "POST"
        try:
            return await self._send(agent, process, request, is_money=is_money)
        except ProcessEnded:
            raise asyncio.CancelledError from None

    async def _send(
        self, agent: ChaosAgent, process: Process, request: Any, *, is_money: bool
    ) -> Any:
        if process.is_dead:
            raise ProcessEnded
        kind = "order" if is_money else "read"
        process.step(f"before the send of the {kind}")
        body = request.content
        arrives_in_s = self._arrival(agent, request, body)
        read_s = request.extensions["timeout"]["read"]
        if arrives_in_s is None:
            await asyncio.sleep(read_s)
            raise httpx2.ReadTimeout("no answer")
        connection = Connection()
        server_task(self._deliver(agent, request, body, connection, arrives_in_s), "request")
        process.step(f"after the send of the {kind}")
        answer = await network.answer(connection, read_s)
        process.step(f"after the answer to the {kind}")
        return answer

    def _arrival(self, agent: ChaosAgent, request: Any, body: bytes) -> float | None:
        """Return the time until a request arrives; None if it never does."""
        chance = self._network[agent.name]
        kinds = self.plan.network_faults
        is_struck = kinds and not self._is_quiet and chance.random() < self.plan.network_share
        kind = chance.choice(kinds) if is_struck else None
        if kind is not None:
            self.result.faults[kind] += 1
        if kind == "connection refused":
            raise httpx2.ConnectError("connection refused")
        self._observe(agent, request, body)
        if kind == "silent server":
            return None
        return chance.uniform(*network.LATE_S) if kind == network.LATE else 0.0

    def _observe(self, agent: ChaosAgent, request: Any, body: bytes) -> None:
        key = request.headers.get("Idempotency-Key", "")
        if (request.method, request.url.path) == ("POST", "/v1/orders"):
            self.books.on_order(agent, key, json.loads(body), self.loop.now)
        elif (request.method, request.url.path) == ("POST", "/v1/escrow"):
            self.books.on_escrow(agent, key, json.loads(body), self.loop.now)

    async def _deliver(
        self,
        agent: ChaosAgent,
        request: Any,
        body: bytes,
        connection: Connection,
        arrives_in_s: float,
    ) -> None:
        key = request.headers.get("Idempotency-Key")
        transit = self.books.sent[agent.name].in_transit
        if key and arrives_in_s:
            transit[key] = json.loads(body)
        if arrives_in_s:
            await asyncio.sleep(arrives_in_s)
        transit.pop(key, None)
        await connection.serve(self.app, scope_of(request, connection), body)

    async def _tick(self) -> None:
        while True:
            self.state.tick()
            self.books.observe_prices(self.loop.now)
            await asyncio.sleep(TICK_S)

    async def _change_weather(self) -> None:
        number = 0
        while True:
            self._count_faults()
            faults = self.plan.weather(number)
            self.state.install_faults(
                tuple(fault(FaultBody.model_validate(item)) for item in faults)
            )
            number += 1
            await asyncio.sleep(self.plan.weather_s)

    def _count_faults(self) -> None:
        for item in self.state.fault_registry.installed:
            details = [item.fault.kind.value]
            details += [str(item.fault.status)] if item.fault.status else []
            details += [item.fault.retry_after.value] if item.fault.retry_after else []
            details += [f"{item.fault.ms} ms"] if item.fault.ms else []
            details += ["before commit"] if item.fault.after_commit is False else []
            self.result.faults[" ".join(details)] += item.hits

    def _quiet(self) -> None:
        """End all faults."""
        self._is_quiet = True
        self._count_faults()
        self.state.install_faults(())
        for agent in self.agents:
            agent.slow_s = 0.0
            if agent.process is not None:
                agent.process.ends_in = None
            agent.free_disk()

    async def _settle(self) -> None:
        """Halt all agents, wait until nothing is unknown, and compare the books."""
        for agent in self.agents:
            agent.set_mode("Halted")
            if agent.process is None or agent.process.is_dead:
                if agent.process is not None:
                    await agent.process.reap()
                agent.start()
        if network.LATE in self.plan.network_faults:
            await asyncio.sleep(network.LATE_S[1])
        deadline = self.loop.now + self.plan.settled_within_s
        # The journal has no event for it.
        while any(is_unfinished(agent) for agent in self.agents) and self.loop.now < deadline:  # noqa: ASYNC110
            await asyncio.sleep(5)
        await asyncio.sleep(AFTER_SETTLED_S)
        for agent in self.agents:
            compare(agent, self.books, self.result, self.loop.now)
