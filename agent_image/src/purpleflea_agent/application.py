"""The parts of a running agent: created once from its environment, started and stopped together.

It decides nothing, and it serves no HTTP: see the package api.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from purpleflea_agent.exchange.dialects import DIALECTS
from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.port import Exchange
from purpleflea_agent.parts import TradingParts, create_parts
from purpleflea_agent.trading import strategies
from purpleflea_agent.trading.loop import TradingLoop
from purpleflea_agent.trading.strategy_loading import Strategy
from purpleflea_contract.settings import Settings
from purpleflea_sdk.control import ControlFile
from purpleflea_sdk.settings import Environment, read_settings

CLOSE_TIMEOUT_S = 0.5
"""Longest wait for the end of canceled tasks, and again for the end of connections."""

logger = logging.getLogger("purpleflea.agent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Application(TradingParts):
    """A running agent: the parts of its account, the loop, and the files that it follows."""

    environment: Environment
    settings: Settings
    control: ControlFile
    key_file: KeyFile
    token_file: KeyFile | None
    loop: TradingLoop

    async def run(self, started: asyncio.Event) -> None:
        """Trade until canceled; then drain, and close all parts."""
        trader = asyncio.create_task(self.loop.run(), name="trading")
        # They run until the very end, so that a change to Halted also stops the closing of positions.
        others = {
            asyncio.create_task(self.control.follow(), name="control"),
            asyncio.create_task(self.shutdown.watch(), name="shutdown"),
            asyncio.create_task(self.reconciler.run(), name="reconciliation"),
        }
        started.set()
        try:
            # Not gather, because its cancellation would cancel an order that is being sent.
            ended, _ = await asyncio.wait({trader, *others}, return_when=asyncio.FIRST_COMPLETED)
            if ended == {trader} and self.loop.is_stopping:
                # The loop was stopped. The other parts serve requests until this task is canceled.
                ended, _ = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                logger.critical(
                    "Task %s ended unexpectedly", task.get_name(), exc_info=task.exception()
                )
        finally:
            await self._stop(trader, others)

    def end(self) -> None:
        """Let no more money leave, and stop the loop. Safe in a signal handler; `run` does the rest."""
        self.control.end()
        self.loop.stop()

    async def _stop(self, trader: asyncio.Task[None], others: set[asyncio.Task[None]]) -> None:
        self.end()
        await self.faucet.stop()
        drain = asyncio.create_task(self._drain(trader), name="drain")
        _, late = await asyncio.wait({drain}, timeout=self.environment.drain_timeout_s)
        if late:
            logger.warning(
                "Not drained before the deadline; the next start resolves the open orders in the journal"
            )
        for task in (drain, trader, *others):
            task.cancel()
        await asyncio.wait({drain, trader, *others}, timeout=CLOSE_TIMEOUT_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.exchange.close()
        await self.journal.close()
        logger.info("Stopped")

    async def _drain(self, trader: asyncio.Task[None]) -> None:
        await asyncio.wait({trader})
        await self.shutdown.run_at_exit()


def assemble(environment: Environment) -> Application:
    """Create all parts.

    Raises:
        SettingsError, JournalError, UnknownStrategy: The user must change something; the text is one line.
    """
    settings = read_settings(environment.settings_file)
    strategy = strategies.find(settings.strategy)
    key_file = KeyFile(environment.api_key_file)
    if key_file.key() is None:
        logger.warning(
            "No API key: not ready until the file has one", extra={"file": key_file.path}
        )
    exchange = DIALECTS[settings.api.dialect](
        settings.api.endpoints, key_file=key_file, agent_id=environment.agent_id
    )
    return build(environment, settings, strategy=strategy, exchange=exchange)


def build(  # noqa: PLR0913 - the parts that differ between production, a paper run and a replay
    environment: Environment,
    settings: Settings,
    *,
    strategy: Strategy,
    exchange: Exchange,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    is_durable: bool = True,
) -> Application:
    """Create all parts around an exchange; a replay gives its own clocks, and a journal need not survive it.

    Raises:
        JournalError: The journal cannot be opened.
    """
    control = ControlFile(environment.control_file)
    parts = create_parts(
        environment,
        settings,
        control=control,
        exchange=exchange,
        clock=clock,
        monotonic=monotonic,
        is_durable=is_durable,
    )
    return Application(
        **{part.name: getattr(parts, part.name) for part in fields(parts)},
        environment=environment,
        settings=settings,
        control=control,
        key_file=KeyFile(environment.api_key_file),
        token_file=KeyFile(environment.api_token_file) if environment.api_token_file else None,
        loop=TradingLoop(
            settings,
            strategy=strategy,
            exchange=exchange,
            account=parts.account,
            orders=parts.orders,
            faucet=parts.faucet,
            monotonic=monotonic,
            now=lambda: datetime.fromtimestamp(clock(), UTC),
        ),
    )
